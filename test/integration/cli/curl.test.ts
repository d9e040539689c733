import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { fileStore, type FileStore, type ManagedPolicyStore } from 'portcullis'
import { createVault } from 'portcullis/vault'
import { CURL_OPTIONS } from '../../../src/cli/option-rows.ts'
import { COMMANDS } from '../../../src/cli/table.ts'
import type { Ended } from '../../support/command-line.ts'
import { ALL_RIGHTS, startConsole, tokenFor, type ConsoleServer } from '../../support/console.ts'
import { makePlace, type Place } from './stores.ts'

const execute = promisify(execFile)
const token = tokenFor(...ALL_RIGHTS)

// oxlint-disable-next-line typescript/no-explicit-any -- each command and route has its own shape
type Json = any

/** Commands in their order, each with the part that must be equal in its answer and in that of the console. */
const CASES: readonly (readonly [
  line: string,
  ofCommand?: ((written: Json) => unknown) | undefined,
  ofConsole?: ((answered: Json) => unknown) | undefined,
])[] = [
  ['app create shop --policy shop.json --note "it\'s the first"', ({ revision }) => revision],
  ['app create bare --name "Bear\'s shop"', ({ revision }) => revision],
  ['app show shop', ({ policy, revision, score }) => [policy, revision, score]],
  ['policy get shop', ({ policy, revision }) => [policy, revision]],
  ['policy set wider.json --if-revision 1 --note "a new office"', ({ revision }) => revision],
  ['policy lint shop', ({ score, findings }) => [score, codesOf(findings)]],
  [
    'policy history shop --limit 1',
    ({ revisions }) => revisions.map((row: Json) => [row.revision, row.note, row.removed]),
    ({ rows }) => rows.map((row: Json) => [row.revision, row.note, row.removed]),
  ],
  [
    'policy history shop --before 2',
    ({ revisions }) => revisions.map((row: Json) => [row.revision, row.note]),
    ({ rows }) => rows.map((row: Json) => [row.revision, row.note]),
  ],
  ['policy rollback shop --to 1 --if-revision 2 --note "the office has closed"', ({ revision }) => revision],
  [
    'policy try shop --url https://gateway.example/ --address 192.0.2.7 --body-file body.txt --method POST',
    ({ passes, decisions }) => [passes, decisions],
    ({ inForce: { passes, decisions } }) => [passes, decisions],
  ],
  ['policy try shop --request request.json', undefined, ({ inForce }) => inForce.passes],
  ['key create shop --id shop-1', ({ id, secret }) => [id, secret.length]],
  ['key list shop', ({ keys }) => keys.map((key: Json) => [key.id, key.algorithm])],
  ['key revoke shop shop-1', () => [], ({ keys }) => keys],
  [
    'app list --limit 1',
    ({ appId, revision }) => [appId, revision],
    ({ apps: [app] }) => [app.appId, app.revision],
  ],
  ['app list --after bare', ({ appId }) => appId, ({ apps: [app] }) => app.appId],
  ['list show', ({ lists }) => lists.map((list: Json) => [list.name, list.size])],
  [
    'list show office',
    ({ lists: [list] }) => [list.name, list.size, list.revision],
    ({ name, size, revision }) => [name, size, revision],
  ],
]

const codesOf = (findings: readonly { readonly code: string }[]): string[] =>
  findings.map(({ code }) => code).toSorted()

/** Usage errors, with a part of the message. */
const REFUSED: readonly (readonly [line: string, sentence: string])[] = [
  ['policy get shop --revision 1', 'does not support `--revision`'],
  ['policy set wider.json', '`--if-revision` is missing'],
  ['policy set wider.json --if-revision x', '`--if-revision` must be a whole number'],
  ['policy set wider.json --if-revision 1 --author Eve', 'does not support `--author`'],
  ['policy set nowhere.json --if-revision 1', 'there is no file `nowhere.json`'],
  ['policy lint ./wider.json', 'must be an app id'],
  ['policy lint shop@1', 'must be an app id'],
  ['policy try .. --url https://gateway.example/', 'must be an app id'],
  ['policy rollback shop --if-revision 2', '`--to` is missing'],
  ['key create shop', '`--id` is missing'],
  ['key create shop --id k --valid-for 9d', 'does not support `--valid-for`'],
  ['policy set long.json --if-revision 1', 'too long for a command line'],
  ['policy try shop --url https://gateway.example/ --body-file bytes', 'is not UTF-8'],
]

const policy = (ranges: readonly string[]) => ({
  appId: 'shop',
  name: 'Shop',
  ipWhitelist: { mode: 'enforce', ranges },
})

let place: Place
let server: ConsoleServer
let ofConsole: FileStore

function storeIn(folder: string): FileStore {
  const key = place.env['PORTCULLIS_VAULT_KEY'] ?? ''
  const vault = createVault({ keys: [{ id: 'default', key }] })
  return fileStore(join(place.directory, folder, 'policies.json'), { vault })
}

beforeAll(async () => {
  place = makePlace('file')
  const write = (name: string, content: string | Uint8Array): void =>
    writeFileSync(join(place.directory, name), content)
  write('shop.json', JSON.stringify(policy(['192.0.2.0/24'])))
  write('wider.json', JSON.stringify(policy(['192.0.2.0/24', '198.51.100.0/24'])))
  write('long.json', JSON.stringify({ ...policy([]), description: 'x'.repeat(100_000) }))
  write('body.txt', `it's "quoted" $HOME \`id\` \\ content\n`)
  write('bytes', new Uint8Array([0xff, 0xfe]))
  write('request.json', JSON.stringify({ url: 'https://gateway.example/', address: '203.0.113.7' }))
  for (const options of [['file:store'], ['file:other']])
    await place.run(`list import office - --store ${options[0] ?? ''}`, { input: '192.0.2.1\n' }, false)
  ofConsole = storeIn('other')
  server = await startConsole({ store: ofConsole })
})
afterAll(async () => {
  await server.close()
  ofConsole.close()
  await place.remove()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

const curlFor = (line: string, env: Record<string, string> = {}): Promise<Ended> =>
  place.run(`${line} --curl`, {
    env: { PORTCULLIS_CONSOLE_URL: server.url, PORTCULLIS_CONSOLE_TOKEN: token, ...env },
  })

/** Runs a line as if it was pasted into a shell. */
async function inShell(line: string, path = process.env['PATH'] ?? ''): Promise<string> {
  const { stdout } = await execute('/bin/sh', ['-c', line], {
    cwd: place.directory,
    env: { PATH: path, PORTCULLIS_CONSOLE_TOKEN: token },
  })
  return stdout
}

/** Everything that must be equal in the two stores. */
async function contentsOf(store: ManagedPolicyStore): Promise<unknown> {
  const { apps } = await store.list({ limit: 100 })
  return Promise.all(
    apps.map(async ({ appId }) => ({
      appId,
      history: (await store.history(appId, { limit: 100 })).map(
        ({ revision, policy: written, keysChanged }) => ({
          revision,
          written,
          keysChanged,
        }),
      ),
      keys: (await store.keys(appId))?.map(({ id }) => id),
    })),
  )
}

describe('--curl', () => {
  it.each(CASES)(
    '`%s` prints a curl command that does the same',
    async (line, ofCommand, ofAnswer = ofCommand) => {
      const printed = await curlFor(line)
      expect([printed.code, printed.error]).toEqual([0, ''])
      expect(printed.out).not.toContain(token)
      const done = await place.run(
        `${line} --json${line.includes('rollback') || line.includes('revoke') ? ' --yes' : ''}`,
      )
      expect([0, 3]).toContain(done.code)
      const answered = JSON.parse(await inShell(printed.out))
      const written = JSON.parse(done.out.split('\n')[0] ?? '')
      if (ofCommand !== undefined) expect(ofAnswer?.(answered)).toEqual(ofCommand(written))
      else if (ofAnswer !== undefined) expect(ofAnswer(answered)).toBe(done.code === 0)
      const own = storeIn('store')
      expect(await contentsOf(ofConsole)).toEqual(await contentsOf(own))
      own.close()
    },
  )

  it.each(REFUSED)('`%s` is refused: %s', async (line, sentence) => {
    const ended = await curlFor(line)
    expect([ended.code, ended.out, ended.error]).toEqual([2, '', expect.stringContaining(sentence)])
  })

  it('requires the URL of a console, without a password', async () => {
    const missing = await curlFor('app list', { PORTCULLIS_CONSOLE_URL: '' })
    expect([missing.code, missing.error]).toEqual([2, expect.stringContaining('`--console` is missing')])
    for (const url of ['console', 'ftp://console.example', 'https://ada:word@console.example/'])
      expect((await place.run(`app list --curl --console ${url}`)).code).toBe(2)
    const given = await place.run('app list --curl --console https://console.example/admin/?x=1#y')
    expect(given.out).toContain("'https://console.example/admin/api/apps'")
    const json = await place.run('app list --curl --json --console https://console.example')
    expect(JSON.parse(json.out)).toEqual({ schemaVersion: 1, curl: expect.stringMatching(/^printf/) })
  })

  it('needs no store', async () => {
    const ended = await place.run(
      'app list --curl --console https://console.example --store file:nowhere',
      {},
      false,
    )
    expect(ended.code).toBe(0)
  })

  it('passes the token to curl through a pipe, and never as an argument', async () => {
    const folder = join(place.directory, 'bin')
    mkdirSync(folder)
    writeFileSync(
      join(folder, 'curl'),
      `#!/bin/sh\nprintf '%s\\n' "$@" > "${folder}/arguments"\ncat > "${folder}/input"\n`,
      { mode: 0o755 },
    )
    await inShell((await curlFor('app list')).out, `${folder}:${process.env['PATH'] ?? ''}`)
    expect(readFileSync(join(folder, 'arguments'), 'utf8')).not.toContain(token)
    expect(readFileSync(join(folder, 'input'), 'utf8')).toBe(`Authorization: Bearer ${token}\n`)
  })

  it('fails if the console refuses', async () => {
    const { out } = await curlFor('app show nobody')
    await expect(inShell(out)).rejects.toMatchObject({ stdout: expect.stringContaining('"NOT_FOUND"') })
  })
})

describe('the table of commands', () => {
  const withCall = COMMANDS.filter(({ call }) => call !== undefined)

  it('has a case here for each command that has a counterpart', () => {
    const tried = CASES.map(([line]) => line)
    const missing = withCall.filter(({ name }) => !tried.some((line) => line.startsWith(name)))
    expect(missing.map(({ name }) => name)).toEqual([])
    expect(withCall.length).toBeGreaterThan(10)
  })

  it('gives `--curl` and `--console` to these commands, and refers only to their own options', () => {
    for (const { name, options, call } of COMMANDS) {
      if (name === 'probe') continue
      const has = Object.keys(CURL_OPTIONS).filter((option) => option in options)
      expect([name, has]).toEqual([name, call === undefined ? [] : ['curl', 'console']])
      const named = [...Object.keys(call?.query ?? {}), ...(call?.options ?? [])]
      expect([name, named.filter((option) => !(option in options))]).toEqual([name, []])
    }
  })

  it('names only requests that the OpenAPI document of the console contains', async () => {
    const { body } = await (await server.signIn()).ask('GET', 'openapi.json')
    const known = Object.entries<object>(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '*')}`),
    )
    const named = withCall.flatMap(({ call }) => {
      const path = (each: string) => `${call?.method ?? ''} /${each.replaceAll(/\[?\b[A-Z]+\b\]?/g, '*')}`
      return [path(call?.path ?? ''), path(call?.path.replace(/\/\[.*/, '') ?? '')]
    })
    expect(named.filter((request) => !known.includes(request))).toEqual([])
  })
})
