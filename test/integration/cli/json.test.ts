import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import * as z from 'zod'
import { COMMANDS } from '../../../src/cli/table.ts'
import { portcullis } from '../../support/command-line.ts'
import { makePlace, type Place } from './stores.ts'

const instant = z.iso.datetime()
const revision = z.int().min(0)
const document = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject({ schemaVersion: z.literal(1), ...shape })
const modes = z.record(z.string(), z.enum(['enforce', 'report', 'off', 'missing']))
const score = z.int().min(0).max(100)
const changes = z.array(
  z.strictObject({ path: z.string(), removed: z.array(z.unknown()), added: z.array(z.unknown()) }),
)
const named = z.strictObject({ policy: z.string(), revision: revision.optional() })
const key = z.strictObject({
  id: z.string(),
  algorithm: z.enum(['hmac-sha256', 'ed25519']),
  notBefore: instant.optional(),
  notAfter: instant.optional(),
  lastUsed: instant.optional(),
})
const verdict = z.enum(['equal', 'narrower', 'wider', 'both'])
const witness = z.strictObject({
  guard: z.string(),
  path: z.string(),
  request: z.looseObject({}),
  grant: z.string().optional(),
  sentence: z.string(),
})
const protection = z.strictObject({ verdict, gained: witness.optional(), lost: witness.optional() })
const planned = z.strictObject({
  action: z.enum(['create', 'update', 'remove']),
  appId: z.string(),
  replaces: revision,
  policy: z.looseObject({ appId: z.string() }).optional(),
  changes,
  verdict,
  sentence: z.string(),
  broken: z.string().optional(),
})
const applied = z.array(z.strictObject({ appId: z.string(), action: z.string(), revision }))
const checks = document({
  good: z.boolean(),
  checks: z.array(
    z.strictObject({
      id: z.string(),
      status: z.enum(['pass', 'warn', 'fail', 'skip']),
      detail: z.string().min(1),
      fix: z.string().optional(),
      docs: z.string().optional(),
    }),
  ),
})
const changed = document({ appId: z.string(), revision, changed: z.boolean(), changes })

const POLICY = { appId: 'shop', ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] } }
const json = JSON.stringify

/** Commands in the order in which they run, each with its schema and exit code. */
const CASES: readonly (readonly [
  line: string,
  schema: z.ZodType,
  code?: number,
  input?: string | undefined,
  env?: Record<string, string>,
])[] = [
  [
    'app create shop --policy -',
    document({ appId: z.literal('shop'), revision, place: z.string() }),
    0,
    json(POLICY),
  ],
  ['app list', document({ appId: z.string(), name: z.string().optional(), revision, score, modes })],
  [
    'key create shop --valid-for 9d',
    document({ appId: z.string(), ...key.shape, revision, secret: z.base64().length(44) }),
  ],
  ['key list shop', document({ appId: z.string(), keys: z.array(key).length(1) })],
  [
    'app show shop',
    document({
      appId: z.string(),
      name: z.string().optional(),
      revision,
      score,
      modes,
      keys: z.array(key),
      policy: z.looseObject({}),
    }),
  ],
  ['key retire shop shop-1', document({ appId: z.string(), id: z.string(), notAfter: instant, revision })],
  [
    'key revoke shop shop-1 --yes',
    document({ appId: z.string(), id: z.string(), revoked: z.literal(true), revision }),
  ],
  ['policy get shop', document({ appId: z.string(), revision, policy: z.looseObject({}) })],
  ['policy set -', changed, 0, json({ ...POLICY, name: 'Shop' })],
  ['policy edit shop', changed, 0, undefined, { EDITOR: 'sed -i s/Shop/Store/' }],
  [
    'policy validate -',
    document({
      file: z.literal('-'),
      appId: z.string().optional(),
      valid: z.boolean(),
      issues: z
        .array(
          z.strictObject({
            code: z.string(),
            path: z.string(),
            message: z.string(),
            given: z.string().optional(),
            corrected: z.string().optional(),
          }),
        )
        .length(1),
    }),
    3,
    json({ appId: 'shop', ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.1/24'] } }),
  ],
  [
    'policy lint shop',
    document({
      appId: z.string(),
      revision: revision.optional(),
      score,
      findings: z
        .array(
          z.strictObject({
            code: z.string(),
            path: z.string(),
            severity: z.enum(['danger', 'warning', 'advice']),
            message: z.string(),
            help: z.string(),
            corrected: z.string().optional(),
          }),
        )
        .min(1),
    }),
  ],
  [
    'policy diff shop@1 shop',
    document({ before: named, after: named, same: z.boolean(), changes: changes.min(1) }),
    3,
  ],
  [
    'policy compare shop -',
    document({
      before: named,
      after: named,
      ...protection.shape,
      sentence: z.string(),
      protections: z.record(z.string(), protection),
      changes,
    }),
    3,
    json({ ...POLICY, ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/23'] } }),
  ],
  [
    'policy history shop',
    document({
      appId: z.string(),
      revisions: z
        .array(
          z.strictObject({
            revision,
            at: instant,
            author: z.string().optional(),
            note: z.string().optional(),
            keysChanged: z.boolean(),
            removed: z.boolean(),
          }),
        )
        .min(5),
    }),
  ],
  [
    'policy rollback shop --to 1 --yes',
    document({ appId: z.string(), revision, to: z.literal(1), changes: changes.min(1) }),
  ],
  [
    'policy try shop --url https://gateway.example/ --address 192.0.2.7',
    document({
      policy: z.string(),
      revision: revision.optional(),
      passes: z.boolean(),
      decisions: z
        .array(
          z.strictObject({
            guard: z.string(),
            effect: z.enum(['allow', 'deny']),
            mode: z.string(),
            code: z.string(),
            detail: z.string(),
            evidence: z.looseObject({}),
          }),
        )
        .min(3),
      comparisons: z.array(z.looseObject({ guard: z.string(), input: z.string(), entries: z.int() })).min(1),
    }),
    3,
  ],
  [
    'policy pull tree',
    document({
      directory: z.string(),
      apps: z.record(z.string(), revision),
      written: z.array(z.string()),
      removed: z.array(z.string()),
    }),
  ],
  ['policy push tree', document({ directory: z.string(), applied: applied.length(0) })],
  [
    'policy plan - --out plan.json',
    document({ place: z.string(), changes: z.array(planned).length(1) }),
    0,
    json({ appId: 'new' }),
  ],
  ['policy apply plan.json', document({ applied: applied.length(1) })],
  [
    'list import office -',
    document({ name: z.string(), revision, size: z.literal(2) }),
    0,
    '192.0.2.1\n192.0.2.2\n',
  ],
  [
    'list show',
    document({
      lists: z
        .array(
          z.strictObject({
            name: z.string(),
            revision,
            size: z.int(),
            at: instant,
            author: z.string().optional(),
            note: z.string().optional(),
          }),
        )
        .length(1),
    }),
  ],
  ['list export office', z.array(z.strictObject({ range: z.string() })).length(2)],
  ['app delete new --yes', document({ appId: z.string(), removed: z.literal(true) })],
  ['doctor', checks],
  ['probe URL', checks],
  ['probe URL --curl', document({ curl: z.string().startsWith('curl ') })],
  [
    'init',
    document({
      project: z.strictObject({
        name: z.string().optional(),
        express: z.string().optional(),
        modules: z.enum(['esm', 'commonjs']),
        typescript: z.boolean(),
        trustProxy: z.array(z.strictObject({ file: z.string(), line: z.int(), text: z.string() })),
      }),
      notes: z.array(z.string()),
      files: z.array(z.string()),
      code: z.string(),
      policy: z.looseObject({ appId: z.string() }),
    }),
  ],
]

/** Commands that write audit events as JSON, which `audit.test.ts` tests. */
const isOfAudit = (name: string): boolean => name.startsWith('audit ')

describe('--json', () => {
  let place: Place
  let url = ''
  const server = createServer((_req, res) => res.end('{}'))
  beforeAll(async () => {
    place = makePlace('file')
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  })
  afterAll(async () => {
    server.close().closeAllConnections()
    await place.remove()
  })
  const rowOf = (line: string) => COMMANDS.find(({ name }) => line === name || line.startsWith(`${name} `))

  it.each(CASES)(
    '`%s` writes one line that matches its schema',
    async (line, schema, code = 0, input, env = {}) => {
      const row = rowOf(line)
      const takesStore = row?.options['store'] !== undefined
      const directory = row?.name === 'init' ? process.cwd() : place.directory
      const words = `${line.replace('URL', url)} --json`
      const ended = takesStore
        ? await place.run(words, { input, env })
        : await portcullis(words, { directory, input, env: { ...place.env, ...env } })
      expect([ended.error, ended.code]).toEqual(['', code])
      const result = schema.safeParse(JSON.parse(ended.out))
      expect(result.success ? [] : result.error.issues).toEqual([])
      if (row?.name !== 'list export') expect(ended.out.indexOf('\n')).toBe(ended.out.length - 1)
    },
  )

  it('has a schema for every command that accepts it', () => {
    const tried = new Set(CASES.map(([line]) => rowOf(line)?.name))
    const missing = COMMANDS.filter(({ name, options }) => options['json'] !== undefined && !isOfAudit(name))
    expect(missing.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual([])
  })

  const failure = z.strictObject({
    error: z.strictObject({
      code: z.string(),
      message: z.string().min(1),
      next: z.string().optional(),
      issues: z.array(z.looseObject({ path: z.string(), message: z.string() })).optional(),
    }),
  })

  it.each([
    ['app show nobody', 3, 'NOT_FOUND'],
    ['app show', 2, 'USAGE'],
    ['policy set nowhere.json', 2, 'USAGE'],
    ['app create shop', 1, 'REVISION_CONFLICT'],
    ['key revoke shop nothing --yes', 1, 'POLICY_INVALID'],
    ['app delete shop', 2, 'USAGE'],
  ])('`%s` writes the reason of its failure to standard error, as JSON', async (line, code, name) => {
    const ended = await place.run(`${line} --json`)
    expect([ended.code, ended.out]).toEqual([code, ''])
    expect(failure.parse(JSON.parse(ended.error)).error.code).toBe(name)
  })
})
