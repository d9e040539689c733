import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import { Redis } from 'ioredis'
import * as z from 'zod'
import { auditAccess, createPolicySource, ipWhitelist } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { createPseudonyms } from '../../../src/audit/event.ts'
import { auditLog } from '../../../src/audit/log/audit-log.ts'
import { people } from '../../../src/audit/people/people.ts'
import { verifierKey } from '../../../src/audit/proof/note.ts'
import { checkpointFile } from '../../../src/audit/proof/publishers.ts'
import { createSealer } from '../../../src/audit/proof/sealer.ts'
import { EXIT, type CommandRow } from '../../../src/cli/command.ts'
import { exitsOf } from '../../../src/cli/help.ts'
import { COMMANDS } from '../../../src/cli/table.ts'
import { redisFrames } from '../../../src/redis/frames.ts'
import { redisPeople } from '../../../src/redis/people.ts'
import { portcullis, wordsOf } from '../../support/command-line.ts'
import { listening } from '../../support/protected-app.ts'
import { sharedRedisUrl, startRedis, type RedisServer } from '../../support/redis.ts'
import { fieldEvent } from '../../unit/audit/events.ts'
import { KEY, ORIGIN } from '../../unit/audit/proof/made-log.ts'
import { makePlace, type Place } from './stores.ts'

type Exit = keyof typeof EXIT

interface More {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** Whether it runs on a terminal, where it may ask. */
  readonly asked?: true
  /** Whether Ctrl-C was pressed. */
  readonly interrupted?: true
  /** The store to use instead of that of the test. */
  readonly store?: string
}

type Case = readonly [line: string, exit: Exit, more?: More]

/**
 * The exit codes of commands with a store, in the order in which they run. The first line of each command is also used
 * to test usage errors, an unreachable Redis and refused credentials.
 */
const OF_STORES: readonly Case[] = [
  ['app create gone', 'ok'],
  ['app create gone', 'failed'],
  ['app delete gone --yes', 'ok'],
  ['app delete gone --yes', 'no'],
  ['app list', 'no'],
  ['console', 'ok', { interrupted: true }],
  ['app create shop --policy good.json', 'ok'],
  ['app list', 'ok'],
  ['app delete shop --yes --if-revision 99', 'failed'],
  ['app show shop', 'ok'],
  ['app show nobody', 'no'],
  ['key list shop', 'no'],
  ['key create shop --id k1', 'ok'],
  ['key create shop --id k1', 'failed'],
  ['key create nobody', 'no'],
  ['key list shop', 'ok'],
  ['key retire shop k1', 'ok'],
  ['key retire shop none', 'failed'],
  ['key retire nobody k1', 'no'],
  ['key revoke shop k1', 'no', { input: 'n\n', asked: true }],
  ['key revoke shop k1 --yes', 'ok'],
  ['key revoke shop k1 --yes', 'failed'],
  ['policy get shop', 'ok'],
  ['policy get shop --revision 99', 'no'],
  ['policy set wider.json', 'ok'],
  ['policy set bad.json', 'failed'],
  ['policy set broken.json', 'no'],
  ['policy edit shop', 'ok', { env: { EDITOR: 'true' } }],
  ['policy edit shop', 'failed', { env: { EDITOR: 'false' } }],
  ['policy edit nobody', 'no'],
  // Without a terminal, no editor is guessed, because it would wait for input.
  ['policy edit shop', 'usage'],
  ['policy validate good.json', 'ok'],
  ['policy validate bad.json', 'no'],
  ['policy lint shop', 'ok'],
  ['policy lint shop --fail-on advice', 'no'],
  ['policy lint bad.json', 'failed'],
  ['policy diff shop wider.json', 'ok'],
  ['policy diff shop good.json', 'no'],
  ['policy diff shop bad.json', 'failed'],
  ['policy compare shop wider.json', 'ok'],
  ['policy compare shop open.json', 'no'],
  ['policy compare shop bad.json', 'failed'],
  ['policy history shop', 'ok'],
  ['policy history nobody', 'no'],
  ['policy rollback shop --to 1 --yes', 'ok'],
  ['policy rollback shop --to 99 --yes', 'failed'],
  ['policy rollback shop --to 1', 'no', { input: 'n\n', asked: true }],
  ['policy try shop --url https://gateway.example/', 'no'],
  ['policy try open.json --url https://gateway.example/', 'ok'],
  ['policy try bad.json --url https://gateway.example/', 'failed'],
  ['policy plan new.json --out plan.json', 'ok'],
  ['policy plan bad.json', 'failed'],
  ['policy plan broken.json', 'no'],
  ['policy apply plan.json', 'ok'],
  ['policy apply plan.json', 'failed'],
  ['policy pull tree', 'ok'],
  ['policy pull good.json', 'failed'],
  ['policy push tree', 'ok'],
  ['policy push bad', 'failed'],
  ['policy push tree --prune', 'no', { input: 'n\n', asked: true }],
  ['list show', 'no'],
  ['list import office office.txt', 'ok'],
  ['list import office bad.txt', 'failed'],
  ['list import office long.txt', 'interrupted', { interrupted: true }],
  ['list show', 'ok'],
  ['list export office', 'ok'],
  ['list export nothing', 'no'],
]

/** Commands that work without a store, or with any store. */
const OTHERS: readonly Case[] = [
  ['init', 'ok'],
  ['init --write', 'ok'],
  ['init --write', 'failed'],
  ['completion bash', 'ok'],
  ['probe URL', 'ok'],
  ['probe URLrefused --app shop --key-id k1', 'no', { env: { PORTCULLIS_APP_SECRET: 'c'.repeat(44) } }],
  ['probe http://127.0.0.1:1/', 'unavailable'],
  ['doctor', 'ok'],
  ['doctor', 'no', { store: 'redis://127.0.0.1:1' }],
]

const OF_AUDIT: readonly Case[] = [
  ['audit query', 'ok'],
  ['audit query --app nobody', 'no'],
  ['audit tail', 'ok', { interrupted: true }],
  ['audit verify CHECKPOINTS', 'ok'],
  ['audit prove f1', 'ok'],
  ['audit prove nothing', 'no'],
  ['audit rejudge', 'ok'],
  ['audit rejudge --policy narrow.json', 'no'],
  ['audit subject alice', 'ok'],
  ['audit subject nobody', 'no'],
  ['audit export --app app-1', 'ok'],
  ['audit export --app nobody', 'no'],
  ['audit erase alice', 'ok'],
  ['audit erase nobody', 'no'],
  ['audit erase robert@shop.example --prove traces', 'failed'],
  ['audit verify --checkpoints CUT', 'no'],
  ['audit retain --archive ARCHIVE --days 0 CHECKPOINTS', 'ok'],
  ['audit retain --archive ARCHIVE --days 9999 CHECKPOINTS', 'no'],
]

const ALL = [...OF_STORES, ...OTHERS, ...OF_AUDIT]

const rowOf = (line: string): CommandRow => {
  const row = COMMANDS.find(({ name }) => line === name || line.startsWith(`${name} `))
  if (row === undefined) throw new Error(`there is no command \`${line}\``)
  return row
}

/** Whether a command requires the store. `doctor` instead reports a failed check. */
const asksStore = ({ name, options }: CommandRow): boolean => 'redis' in options && name !== 'doctor'

const nameOfExit = (code: number): Exit =>
  (Object.keys(EXIT) as Exit[]).find((name) => EXIT[name] === code) ?? 'failed'

const failure = z.strictObject({
  error: z.strictObject({
    code: z.string().regex(/^[A-Z_]+$/),
    message: z.string().min(1),
    next: z.string().optional(),
    issues: z.array(z.looseObject({ path: z.string(), message: z.string() })).optional(),
  }),
})
const retained = z.strictObject({ schemaVersion: z.literal(1), frames: z.int(), start: z.int() })

const policy = (appId: string, ranges: readonly string[], more: object = {}) => ({
  appId,
  ipWhitelist: { mode: 'enforce', ranges },
  ...more,
})
const off = { mode: 'off' }
const FILES: Readonly<Record<string, unknown>> = {
  'good.json': policy('shop', ['192.0.2.0/24']),
  'wider.json': policy('shop', ['192.0.2.0/24', '198.51.100.0/24']),
  'bad.json': policy('shop', ['192.0.2.1/24']),
  'bad/shop.json': policy('shop', ['192.0.2.1/24']),
  'broken.json': policy('shop', ['192.0.2.0/24'], {
    expect: [
      { name: 'all', request: { url: 'https://gateway.example/', address: '203.0.113.1' }, effect: 'allow' },
    ],
  }),
  'open.json': {
    appId: 'shop',
    serverOnly: off,
    ipWhitelist: off,
    domainProtect: off,
    returnUrlGuard: off,
    regionPin: off,
    auditAccess: off,
  },
  'new.json': policy('new', []),
  'narrow.json': policy('judged', [], { auditAccess: { mode: 'enforce', onSinkFailure: 'deny' } }),
  'package.json': { name: 'x', type: 'module', dependencies: { express: '^5.0.0' } },
}

let url = ''
let refusing: RedisServer
const gateway = createServer((req, res) => {
  if (req.url !== '/refused') return void res.end('{}')
  res.writeHead(401, { 'content-type': 'application/problem+json' })
  return void res.end('{"status":401,"code":"SIGNATURE_INVALID"}')
})
beforeAll(async () => {
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/`
  refusing = await startRedis({ args: ['--requirepass', 'word'] })
})
afterAll(async () => {
  gateway.close().closeAllConnections()
  await refusing.stop()
})

function makeFiles(place: Place): void {
  for (const folder of ['bad', 'traces']) mkdirSync(join(place.directory, folder))
  for (const [name, document] of Object.entries(FILES))
    writeFileSync(join(place.directory, name), JSON.stringify(document))
  writeFileSync(join(place.directory, 'office.txt'), '192.0.2.1\n')
  writeFileSync(join(place.directory, 'bad.txt'), 'nonsense\n')
  const lines = Array.from({ length: 20_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}\n`)
  writeFileSync(join(place.directory, 'long.txt'), lines.join(''))
  writeFileSync(join(place.directory, 'traces', 'dump'), 'a row of robert@shop.example')
}

/** Runs a line, and checks the exit code, its meaning in the help, and the output of `--json`. */
async function check(place: Place, [line, exit, more = {}]: Case): Promise<void> {
  const row = rowOf(line)
  if (line.includes('--prune')) rmSync(join(place.directory, 'tree', 'new.json'))
  const { asked, interrupted, store, input, env } = more
  const isJson = 'json' in row.options && asked === undefined
  const named = store === undefined ? ('prefix' in row.options ? place.options : []) : ['--store', store]
  const options = 'store' in row.options || named[0] !== '--store' ? named : []
  const ended = await portcullis(
    [...wordsOf(line.replace('URL', url)), ...options, ...(isJson ? ['--json'] : [])],
    {
      directory: place.directory,
      env: { ...place.env, ...env },
      ...(input !== undefined && { input }),
      ...(asked === true && { terminals: { input: true, error: true } }),
      ...(interrupted === true && { signal: AbortSignal.abort() }),
    },
  )
  expect([line, nameOfExit(ended.code), ended.error]).toEqual([line, exit, ended.error])
  const meanings = exitsOf(row).map(([code]) => code)
  const general: readonly number[] = asksStore(row) ? [EXIT.denied, EXIT.unavailable] : []
  expect([...meanings, ...general]).toContain(ended.code)
  expect(`${ended.out}${ended.error}`).not.toContain(place.env['PORTCULLIS_VAULT_KEY'])
  if (!isJson) return
  // A list is one document. All other output has one document per line.
  const lines = (row.name === 'list export' ? [ended.out] : ended.out.split('\n')).filter(
    (text) => text !== '',
  )
  for (const text of lines) expect(() => JSON.parse(text) as unknown).not.toThrow()
  if (exit !== 'ok' && lines.length === 0 && ended.error !== '' && ended.error.startsWith('{'))
    expect(failure.safeParse(JSON.parse(ended.error)).error).toBeUndefined()
  if (exit !== 'ok' && exit !== 'no' && lines.length === 0)
    expect(failure.safeParse(JSON.parse(ended.error)).error).toBeUndefined()
  if (row.name === 'audit retain' && lines.length > 0)
    expect(retained.safeParse(JSON.parse(ended.out)).error).toBeUndefined()
}

describe('the table of commands', () => {
  it('has a case here for each exit code that the help lists', () => {
    const driven = new Set(ALL.map(([line, exit]) => `${rowOf(line).name}: ${exit}`))
    const wanted = COMMANDS.flatMap((row) =>
      exitsOf(row).flatMap(([code]) => (code === EXIT.usage ? [] : [`${row.name}: ${nameOfExit(code)}`])),
    )
    expect(wanted.filter((ending) => !driven.has(ending))).toEqual([])
  })
})

/** The first line of each command, without its expectations. */
const FIRSTS: readonly (readonly [line: string, row: CommandRow])[] = COMMANDS.map((row) => [
  ALL.find(([line]) => rowOf(line) === row)?.[0] ?? row.name,
  row,
])

describe.each(['file', 'Redis'] as const)('in a store of the kind %s', (kind) => {
  let place: Place
  beforeAll(() => {
    place = makePlace(kind)
    makeFiles(place)
  })
  afterAll(() => place.remove())

  it.each([...OF_STORES, ...OTHERS].map((each) => [each[0], each[1], each] as const))(
    '`%s` exits with %s',
    async (_line, _exit, each) => check(place, each),
  )
})

describe('every command', () => {
  let place: Place
  beforeAll(() => {
    place = makePlace('file')
    makeFiles(place)
    writeFileSync(join(place.directory, 'plan.json'), '{"schemaVersion":1,"place":"x","changes":[]}')
  })
  afterAll(() => place.remove())
  const bare = (line: string): string => line.replace(/ (?:--checkpoints )?(?:CHECKPOINTS|CUT)/, '')

  it.each(FIRSTS)('`%s --nonsense` is a usage error', async (line) => {
    await check(place, [`${bare(line)} --nonsense`, 'usage'])
  })

  const asking = FIRSTS.filter(([, row]) => asksStore(row) && row.name !== 'policy validate')
  it.each(asking)(
    '`%s` exits with 5 if Redis is unreachable, and with 4 if Redis refuses',
    async (line, row) => {
      const secrets = {
        PORTCULLIS_PSEUDONYM_KEY: 'a'.repeat(44),
        PORTCULLIS_VAULT_KEY: place.env['PORTCULLIS_VAULT_KEY'] ?? '',
      }
      const wrong = new URL(refusing.url)
      wrong.password = 'hunter2'
      for (const [server, code] of [
        ['redis://127.0.0.1:1', EXIT.unavailable],
        [refusing.url, EXIT.denied],
        [wrong.href, EXIT.denied],
      ] as const) {
        const json = 'json' in row.options ? ['--json'] : []
        const ended = await portcullis([...wordsOf(bare(line)), ...json], {
          directory: place.directory,
          env: { ...secrets, PORTCULLIS_REDIS_URL: server },
        })
        expect([line, server, ended.code, ended.out]).toEqual([line, server, code, ''])
        if (json.length > 0) expect(failure.safeParse(JSON.parse(ended.error)).error).toBeUndefined()
        else expect(ended.error).toMatch(/^portcullis \w+( \w+)?: /)
        expect(ended.error).not.toContain('hunter2')
      }
    },
  )
})

describe('in the audit log', () => {
  let place: Place
  let redis: Redis
  beforeAll(async () => {
    const made = makePlace('Redis')
    const keys = {
      PORTCULLIS_PSEUDONYM_KEY: Buffer.alloc(32, 1).toString('base64'),
      PORTCULLIS_JUDGED_KEY: Buffer.alloc(32, 2).toString('base64'),
    }
    place = { ...made, env: { ...made.env, ...keys } }
    makeFiles(place)
    redis = new Redis(sharedRedisUrl())
    const prefix = place.options[1] ?? ''
    const store = redisFrames(redis, { prefix, settlesAfter: 0 })
    const sealed = join(place.directory, 'checkpoints')
    const sealer = createSealer({
      store,
      origin: ORIGIN,
      key: KEY.key,
      interval: 1e6,
      publish: checkpointFile(sealed),
    })
    const pseudonymise = createPseudonyms(Buffer.alloc(32, 1))
    const vault = createVault({ keys: [{ id: 'default', key: place.env['PORTCULLIS_VAULT_KEY'] ?? '' }] })
    const own = people({ store: redisPeople(redis, { prefix }), vault, timeout: 60_000 })
    const log = auditLog({ store, storeTimeout: 60_000, people: own })
    for (const [id, person] of [
      ['f1', 'alice'],
      ['f2', 'robert@shop.example'],
    ] as const)
      await log.write([fieldEvent(id, { person: pseudonymise('person', person), purpose: 'support' })])
    await judgeOne(prefix, log)
    await log.close()
    await sealer.close()
  })
  afterAll(async () => {
    redis.disconnect()
    await place.remove()
  })

  /** Records a request that can be rejudged. */
  async function judgeOne(prefix: string, sink: ReturnType<typeof auditLog>): Promise<void> {
    const vault = createVault({ keys: [{ id: 'default', key: place.env['PORTCULLIS_VAULT_KEY'] ?? '' }] })
    const store = redisStore(redis, { prefix, vault })
    const judged = { appId: 'judged', auditAccess: { mode: 'enforce', onSinkFailure: 'deny' } } as const
    await store.write({ policy: { ...judged, ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8'] } } }, 0)
    const policies = createPolicySource({ store })
    const shared = { policies, appId: () => 'judged' }
    const audit = auditAccess({ ...shared, sink, judgements: { key: Buffer.alloc(32, 2) } })
    const app = express().use(audit, ipWhitelist(shared), (_req, res) => void res.json({}))
    await listening(app, async (origin) => void (await (await fetch(origin)).text()))
    await audit.close()
    policies.close()
  }

  it.each(OF_AUDIT.map((each) => [each[0], each[1], each] as const))(
    '`%s` exits with %s',
    async (_line, _exit, [line, exit, more]) => {
      const log = `${place.options[1] ?? ''}{audit}:log`
      const size = (await redis.hget(log, 'size')) ?? ''
      const isCut = line.includes('CUT')
      // Tampering by somebody with write access to Redis: fewer frames than were sealed.
      if (isCut) await redis.hset(log, 'size', `1 ${size.split(' ')[1] ?? ''}`)
      const sealed = `--checkpoints ${join(place.directory, 'checkpoints')} --key ${verifierKey(KEY)}`
      const written = line
        .replace(/CHECKPOINTS|--checkpoints CUT/, sealed)
        .replace('ARCHIVE', join(place.directory, 'archive'))
        .replace('--prove traces', `--prove ${join(place.directory, 'traces')}`)
      await check(place, [written, exit, more ?? {}])
      if (isCut) await redis.hset(log, 'size', size)
    },
  )
})
