import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import { Redis } from 'ioredis'
import * as z from 'zod'
import { auditAccess, createPolicySource, ipWhitelist, type PolicyInput } from 'portcullis'
import { createPseudonyms } from '../../../src/audit/event.ts'
import { auditLog } from '../../../src/audit/log/audit-log.ts'
import { leafHash, rootOfInclusion } from '../../../src/audit/log/merkle.ts'
import { people } from '../../../src/audit/people/people.ts'
import { verifierKey } from '../../../src/audit/proof/note.ts'
import { checkpointFile } from '../../../src/audit/proof/publishers.ts'
import { createSealer } from '../../../src/audit/proof/sealer.ts'
import { runCommand } from '../../../src/cli/run.ts'
import { redisFrames } from '../../../src/redis/frames.ts'
import { redisPeople } from '../../../src/redis/people.ts'
import { redisStore } from '../../../src/redis/store.ts'
import { createVault } from '../../../src/vault/vault.ts'
import { wordsOf } from '../../support/command-line.ts'
import { listening } from '../../support/protected-app.ts'
import { startRedis, until, type RedisServer } from '../../support/redis.ts'
import { fieldEvent, operationEvent } from '../../unit/audit/events.ts'
import { KEY, ORIGIN } from '../../unit/audit/proof/made-log.ts'

const folder = mkdtempSync(join(tmpdir(), 'portcullis-cli-'))
const data = join(folder, 'redis')
const checkpoints = join(folder, 'checkpoints')
const keyFile = join(folder, 'key')
const pseudonymKey = randomBytes(32)
const vaultKey = randomBytes(32)
const pseudonymise = createPseudonyms(pseudonymKey)
let server: RedisServer
let redis: Redis

/** The output and the exit code of a command. */
interface Ended {
  readonly code: number
  readonly out: string
  readonly error: string
}

async function command(
  line: string,
  more: { env?: Record<string, string>; signal?: AbortSignal; heard?: (text: string) => void } = {},
): Promise<Ended> {
  let [out, error] = ['', '']
  const code = await runCommand(wordsOf(line), {
    out(text) {
      out += text
      more.heard?.(text)
    },
    error: (text) => void (error += text),
    env: {
      REDIS_URL: server.url,
      PORTCULLIS_PSEUDONYM_KEY: pseudonymKey.toString('base64'),
      PORTCULLIS_VAULT_KEY: vaultKey.toString('base64'),
      ...more.env,
    },
    signal: more.signal ?? new AbortController().signal,
    input: async function* () {},
    terminals: { input: false, output: false, error: false },
    directory: folder,
  })
  return { code, out, error }
}
/** The first line of a usage error. The second line refers to the help. */
const complaint = ({ error }: Ended): string | undefined => error.split('\n')[0]
// oxlint-disable-next-line typescript/no-explicit-any -- each command writes its own shape
const json = ({ out }: Ended): any[] =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

const count = z.int().min(0)
const document = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject({ schemaVersion: z.literal(1), ...shape })

/** The documents that audit commands write. `tail`, `query` and `export` write event lines instead. */
const DOCUMENTS = {
  verify: document({
    frames: count,
    events: count,
    writers: count,
    sealed: count,
    checkpoints: count,
    problems: z.array(z.strictObject({ code: z.string(), at: z.number(), detail: z.string() })),
    found: count,
  }),
  prove: document({
    event: z.string(),
    index: count,
    path: z.array(z.base64()),
    place: z.string(),
    frame: z.strictObject({
      writer: z.string(),
      first: count,
      count,
      previous: z.base64(),
      root: z.base64(),
      link: z.base64(),
    }),
  }),
  subject: document({
    generated: z.iso.datetime(),
    accesses: z.array(z.looseObject({})).min(1),
    recipients: z.array(z.string()),
    fields: z.record(z.string(), count),
  }),
  rejudge: document({
    decisions: count,
    same: count,
    different: count,
    notJudged: z.record(z.string(), count),
    differences: z.array(z.looseObject({})),
  }),
  erase: document({
    people: count,
    secrets: count,
    traces: z.array(z.strictObject({ path: z.string(), form: z.string() })),
  }),
}

/** The schema errors of a command's output. */
function misfits(of: keyof typeof DOCUMENTS, ended: Ended): unknown[] {
  const result = DOCUMENTS[of].safeParse(JSON.parse(ended.out))
  return result.success ? [] : result.error.issues
}

beforeAll(async () => {
  mkdirSync(data)
  server = await startRedis({
    args: ['--appendonly', 'yes', '--appendfsync', 'always', '--dir', data, '--rdbcompression', 'no'],
  })
  redis = new Redis(server.url)
  await writeFile(keyFile, `${verifierKey(KEY)}\n`)
  const store = redisFrames(redis, { settlesAfter: 0 })
  const own = people({
    store: redisPeople(redis),
    vault: createVault({ keys: [{ id: 'default', key: vaultKey }] }),
    timeout: 60_000,
  })
  const log = auditLog({ store, people: own })
  const sealer = createSealer({
    store,
    origin: ORIGIN,
    key: KEY.key,
    interval: 1e6,
    publish: checkpointFile(checkpoints),
  })
  for (let index = 0; index < 20; index += 1) {
    const requestId = `r${index}`
    await log.write([
      fieldEvent(`f${index}`, {
        person: pseudonymise('person', index % 2 === 0 ? 'alice' : 'bob'),
        requestId,
        purpose: 'support',
      }),
      operationEvent(`o${index}`, { requestId, operation: 'GET /people/:id' }),
    ])
  }
  await log.close()
  await sealer.close()
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

describe('portcullis audit', () => {
  it('query shows matching events page by page, and exits with 3 if there are none', async () => {
    const first = await command('audit query --json --person alice --field email --limit 4')
    expect([first.code, json(first).map(({ id }) => id)]).toEqual([0, ['f0', 'f2', 'f4', 'f6']])
    const after = /--after (\S+)/.exec(first.error)?.[1] ?? ''
    const second = await command(`audit query --json --person alice --field email --limit 4 --after ${after}`)
    expect(json(second).map(({ id }) => id)).toEqual(['f8', 'f10', 'f12', 'f14'])
    expect(await command('audit query --app nobody')).toEqual({ code: 3, out: '', error: '' })
    expect((await command('audit query --request r3')).out).toMatch(
      /^\S+Z {2}app-1 {2}field {2}email\n\S+Z {2}app-1 {2}operation {2}GET \/people\/:id {2}answered {2}200\n$/,
    )
  })

  it('verify reports that nothing is wrong, and exits with 3 if something is', async () => {
    const whole = await command(
      `audit verify --checkpoints ${checkpoints} --key ${keyFile} --origin ${ORIGIN}`,
    )
    expect([whole.code, whole.out]).toEqual([
      0,
      expect.stringContaining('1 valid checkpoints, 20 frames sealed: no problems'),
    ])
    expect((await command('audit verify')).error).toContain('without --checkpoints')
    // Tampering by somebody with write access to Redis: removes a frame.
    const entries = await redisFrames(redis).read(undefined, 100)
    await redis.hset('portcullis:{audit}:log', 'size', `19 ${entries[18]?.place.split('-')[0]}`)
    const cut = await command(`audit verify --json --checkpoints ${checkpoints} --key ${verifierKey(KEY)}`)
    expect(misfits('verify', cut)).toEqual([])
    expect([cut.code, json(cut)[0].problems.map(({ code }: { code: string }) => code)]).toEqual([
      3,
      ['FRAMES_MISSING'],
    ])
  })

  it('prove shows an event with its path to the root of the frame', async () => {
    const log = auditLog({ store: redisFrames(redis) })
    await log.write(Array.from({ length: 11 }, (_, index) => fieldEvent(`p${index}`)))
    await log.close()
    const ended = await command('audit prove p7')
    expect(misfits('prove', ended)).toEqual([])
    const { event, index, path, frame } = json(ended)[0]
    const root = rootOfInclusion(
      leafHash(event),
      index,
      frame.count,
      path.map((hash: string) => Buffer.from(hash, 'base64')),
    )
    expect([ended.code, index, root?.toString('base64')]).toEqual([0, 7, frame.root])
    expect(await command('audit prove nothing')).toEqual({
      code: 3,
      out: '',
      error: 'there is no event with this id\n',
    })
  })

  it('subject reports to a person, and names the readers only if a purpose is given', async () => {
    const log = auditLog({
      store: redisFrames(redis),
      people: people({
        store: redisPeople(redis),
        vault: createVault({ keys: [{ id: 'default', key: vaultKey }] }),
        timeout: 60_000,
      }),
    })
    await log.write([
      fieldEvent('s', { person: pseudonymise('person', 'carol'), actor: 'staff', purpose: 'billing' }),
    ])
    await log.close()
    const printed = await command('audit subject carol')
    expect([printed.code, printed.out]).toEqual([
      0,
      expect.stringContaining('    read: email\n    purpose: billing\n'),
    ])
    const told = await command('audit subject carol --json')
    expect([misfits('subject', told), json(told)[0].fields]).toEqual([[], { email: 1 }])
    expect(complaint(await command('audit subject carol --reveal-actors'))).toBe(
      'portcullis audit subject: `--reveal-actors` needs `--purpose`',
    )
    expect((await command('audit subject carol --reveal-actors --purpose complaint')).out).toMatch(
      /by: [\w-]{22}\n/,
    )
    expect((await command('audit subject nobody')).code).toBe(3)
    // Each query is an event.
    const looks = await command('audit query --json --person carol')
    expect(json(looks).map(({ operation }) => operation)).toEqual(
      expect.arrayContaining(['audit subject', 'audit subject with actors']),
    )
  })

  it('rejudge judges recorded requests again, by their own policies or by a draft', async () => {
    const store = redisStore(redis, { vault: createVault({ keys: [{ id: 'default', key: vaultKey }] }) })
    const judged: PolicyInput = {
      appId: 'judged',
      auditAccess: { mode: 'enforce', onSinkFailure: 'deny' },
      ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8'] },
    }
    await store.write({ policy: judged }, 0)
    const policies = createPolicySource({ store })
    const log = auditLog({ store: redisFrames(redis) })
    const shared = { policies, appId: () => 'judged' }
    const audit = auditAccess({ ...shared, sink: log, judgements: { key: vaultKey } })
    const app = express().use(audit, ipWhitelist(shared), (_req, res) => void res.json({}))
    await listening(app, async (origin) => {
      for (let index = 0; index < 3; index += 1) await (await fetch(origin)).text()
    })
    await audit.close()
    policies.close()
    const env = { PORTCULLIS_JUDGED_KEY: Buffer.from(vaultKey).toString('base64') }
    const same = await command('audit rejudge --json', { env })
    expect([same.code, json(same)[0]]).toEqual([0, expect.objectContaining({ different: 0 })])
    expect(json(same)[0].same).toBeGreaterThanOrEqual(3)
    expect(misfits('rejudge', same)).toEqual([])
    const draft = join(folder, 'draft.json')
    await writeFile(draft, JSON.stringify({ ...judged, ipWhitelist: { mode: 'enforce', ranges: [] } }))
    const other = await command(`audit rejudge --policy ${draft}`, { env })
    expect(other.code).toBe(3)
    expect(other.out).toMatch(/judged {2}ipWhitelist {2}enforce ALLOWED -> enforce ADDRESS_NOT_ALLOWED\n/)
    expect((await command('audit rejudge')).error).toContain('PORTCULLIS_JUDGED_KEY is not set')
    expect((await command('audit rejudge --policy /nowhere', { env })).code).toBe(2)
  })

  it('tail shows new events until it is stopped', async () => {
    const ended = new AbortController()
    let shown = ''
    const heard = (text: string): void => void (shown += text)
    const tailing = command('audit tail --json --app tailed', { signal: ended.signal, heard })
    // Each query is an event, which the command writes before it starts to read.
    await until(
      'the tail has begun',
      async () => (await command('audit query --operation "audit tail"')).code === 0,
    )
    const log = auditLog({ store: redisFrames(redis) })
    await log.write([fieldEvent('t1', { appId: 'tailed' }), fieldEvent('t2')])
    await log.close()
    await until('the event is shown', async () => shown.includes('t1'))
    ended.abort()
    const result = await tailing
    expect([result.code, json(result).map(({ id }) => id)]).toEqual([0, ['t1']])
  })

  it('export writes all formats', async () => {
    expect((await command('audit export --request r-none')).code).toBe(3)
    const ocsf = json(await command('audit export --app tailed --to-format ocsf'))
    expect(ocsf[0]).toMatchObject({
      class_uid: 6005,
      type_uid: 600502,
      metadata: { uid: 't1' },
      unmapped: { event: { id: 't1' } },
    })
    expect(json(await command('audit export --app tailed --to-format cloudevents'))[0]).toMatchObject({
      specversion: '1.0',
      id: 't1',
      type: 'portcullis.audit.field.v1',
    })
    expect(json(await command('audit export --app tailed'))[0]).toEqual(fieldEvent('t1', { appId: 'tailed' }))
    expect((await command('audit export --to-format xml')).code).toBe(2)
  })

  it('erase removes a person and proves it', async () => {
    const erased = await command(`audit erase carol --purpose request --prove ${data}`)
    expect(erased).toEqual({
      code: 0,
      out: '1 people erased, 1 secrets destroyed, Redis files rewritten\nno trace of them was found\n',
      error: '',
    })
    expect((await command('audit subject carol')).code).toBe(3)
    const nobody = await command('audit erase nobody --json')
    expect([nobody.code, misfits('erase', nobody)]).toEqual([3, []])
    const without = await command('audit erase carol', { env: { PORTCULLIS_VAULT_KEY: '' } })
    expect([without.code, complaint(without)]).toEqual([
      2,
      'portcullis audit erase: PORTCULLIS_VAULT_KEY is not set: it decrypts the keys of people',
    ])
  })

  it('retain needs an archive, a number of days and checkpoints', async () => {
    expect(complaint(await command('audit retain'))).toBe('portcullis audit retain: `--archive` is missing')
    expect(complaint(await command('audit retain --archive x'))).toBe(
      'portcullis audit retain: `--days` is missing',
    )
    expect(complaint(await command('audit retain --archive x --days 1'))).toBe(
      'portcullis audit retain: `--checkpoints` is missing',
    )
  })
})

describe('the command line', () => {
  it.each([
    ['audit verfy', 'unknown command `audit verfy`: did you mean `audit verify`?\n'],
    ['audti', 'unknown command `audti`'],
    ['audit query --persn x', 'portcullis audit query: unknown option `--persn`: did you mean `--person`?\n'],
    ['audit query x', 'portcullis audit query: unexpected argument `x`\n'],
    ['audit subject', 'portcullis audit subject: `PERSON` is missing\n'],
    [
      'audit query --limit 0',
      'portcullis audit query: `--limit` must be a whole number of at least 1, got `0`\n',
    ],
    ['audit query --from yesterday', 'portcullis audit query: `query.from` must be an ISO 8601 instant'],
    [
      'audit verify --checkpoints /nowhere',
      '`--checkpoints` needs `--key`: the key that signs the checkpoints',
    ],
    [
      'audit verify --key x',
      '`--key` must be a verifier key such as `name+hash+key`, or a file that contains one',
    ],
  ])('refuses `%s` with exit code 2', async (line, message) => {
    const ended = await command(line)
    expect([ended.code, ended.error, ended.out]).toEqual([2, expect.stringContaining(message), ''])
  })

  it('exits with 5 if Redis is unreachable, and does not print the password', async () => {
    const ended = await command('audit query', { env: { REDIS_URL: 'redis://:secret-word@127.0.0.1:1' } })
    const error =
      'portcullis audit query: Redis cannot be reached at redis://127.0.0.1:1 (ECONNREFUSED): check that it is running, and that host and port are right\n'
    expect(ended).toEqual({ code: 5, out: '', error })
  })

  it('lists its commands, and the options of each', async () => {
    const all = await command('--help')
    expect([all.code, all.out]).toEqual([0, expect.stringContaining('audit verify')])
    expect((await command('audit')).out).toContain('audit retain')
    expect((await command('')).code).toBe(2)
    const one = await command('audit erase --help')
    expect([one.code, one.out]).toEqual([0, expect.stringContaining('--prove DIRECTORY')])
  })
})
