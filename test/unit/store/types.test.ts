import { describe, expect, it } from '@jest/globals'
import {
  ConfigError,
  memoryStore,
  parsePolicy,
  PolicyError,
  type AppKey,
  type InitialApp,
  type PolicyInput,
} from 'portcullis'
import type { StoredApp } from 'portcullis/store'
import { policyShape } from '../../../src/policy/schema.ts'

// Each line below `@ts-expect-error` must not compile: `npm run typecheck` fails where one does.

const secret = Buffer.alloc(32, 1).toString('base64')

/** Has every member that a policy can have. */
const EVERYTHING = {
  $schema: './policy.schema.json',
  appId: 'everything',
  name: 'Everything',
  serverOnly: { mode: 'enforce', maxAge: 60, requireDigest: true, requireContentType: false },
  ipWhitelist: {
    mode: 'report',
    ranges: ['192.0.2.0/24'],
    deny: ['192.0.2.7'],
    lists: ['a'],
    denyLists: ['b'],
  },
  domainProtect: {
    mode: 'enforce',
    domains: ['https://example.org'],
    methods: ['GET'],
    headers: ['x-app-id'],
    exposedHeaders: ['etag'],
    credentials: true,
    maxAge: 5,
    server: 'signed',
  },
  returnUrlGuard: { mode: 'off', urls: ['https://example.org/cb/', { exact: 'https://example.org/done' }] },
  regionPin: { mode: 'enforce', onMisdirected: 'handOver', fallback: 'europe' },
  auditAccess: { mode: 'enforce', onSinkFailure: 'allow' },
  expect: [{ name: 'a page', request: { headers: { origin: 'https://example.org' } }, effect: 'allow' }],
} satisfies PolicyInput

async function appsIn(...apps: readonly InitialApp[]): Promise<string[]> {
  const { apps: listed } = await memoryStore(apps).list()
  return listed.map(({ appId }) => appId)
}

describe('a policy that compiles', () => {
  it('is one with every member', async () => {
    const sections: Readonly<Record<string, unknown>> = { '': EVERYTHING, ...EVERYTHING }
    for (const [section, members] of policyShape().keys)
      expect([section, ...Object.keys(sections[section] as object)]).toEqual([section, ...members])
    expect(await appsIn({ policy: EVERYTHING })).toEqual(['everything'])
  })

  it('is one written in the call, with keys and without', async () => {
    const store = memoryStore([
      { policy: { appId: 'a', ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] } } },
      { policy: { appId: 'b' }, keys: [{ id: 'k', algorithm: 'hmac-sha256', secret }] },
      { policy: { appId: 'c', name: undefined, serverOnly: undefined }, keys: undefined },
    ])
    expect((await store.keys('b'))?.map(({ id }) => id)).toEqual(['k'])
    expect(await store.read('c')).toMatchObject({ policy: { appId: 'c' }, keys: [] })
  })

  it('is a constant that is typed, frozen by `as const`, or the result of parsePolicy', async () => {
    const typed: PolicyInput = { appId: 'typed', regionPin: { mode: 'off' } }
    const constant = { appId: 'constant', returnUrlGuard: { mode: 'enforce', urls: ['app:/x'] } } as const
    const parsed = parsePolicy({ ...EVERYTHING, appId: 'parsed' })
    const keys: readonly AppKey[] = [{ id: 'k', algorithm: 'hmac-sha256', secret }]
    expect(await appsIn({ policy: typed }, { policy: constant, keys }, { policy: parsed })).toEqual([
      'constant',
      'parsed',
      'typed',
    ])
  })

  it('is what another store returned, once it is parsed', async () => {
    const stored = (await memoryStore([{ policy: EVERYTHING }]).read('everything')) as StoredApp
    expect(await appsIn({ ...stored, policy: parsePolicy(stored.policy) })).toEqual(['everything'])
    // @ts-expect-error -- a document of unknown origin
    expect(await appsIn(stored)).toEqual(['everything'])
  })
})

describe('a policy that does not compile, and is refused', () => {
  const refused: [what: string, make: () => unknown, message: string | RegExp][] = [
    [
      'a wrong mode',
      // @ts-expect-error -- not a mode
      () => memoryStore([{ policy: { appId: 'a', serverOnly: { mode: 'enforced' } } }]),
      /`serverOnly.mode`.*"enforced"/,
    ],
    [
      'an unknown member of a section',
      // @ts-expect-error -- not a member of the section
      () => memoryStore([{ policy: { appId: 'a', ipWhitelist: { mode: 'off', rangez: [] } } }]),
      /`ipWhitelist.rangez`: unknown key/,
    ],
    [
      'an unknown section',
      // @ts-expect-error -- not a section
      () => memoryStore([{ policy: { appId: 'a', ipWhitelists: { mode: 'off' } } }]),
      /`ipWhitelists`: unknown key/,
    ],
    [
      'a section without a mode',
      // @ts-expect-error -- the mode is required
      () => memoryStore([{ policy: { appId: 'a', auditAccess: {} } }]),
      /`auditAccess.mode`: is missing/,
    ],
    [
      'a policy without an id',
      // @ts-expect-error -- the id is required
      () => memoryStore([{ policy: { ipWhitelist: { mode: 'off' } } }]),
      /`appId`: is missing/,
    ],
    [
      'an unknown algorithm',
      // @ts-expect-error -- not an algorithm
      () => memoryStore([{ policy: { appId: 'a' }, keys: [{ id: 'k', algorithm: 'sha256', secret }] }]),
      /algorithm/,
    ],
  ]
  it.each(refused)('%s', (_what, make, message) => {
    expect(make).toThrow(PolicyError)
    expect(make).toThrow(message)
  })

  const misplaced: [what: string, make: () => unknown, message: string][] = [
    [
      'the policy in place of the app',
      // @ts-expect-error -- no app, but its policy
      () => memoryStore([{ appId: 'a' }]),
      'write `memoryStore([{ policy: … }])`',
    ],
    [
      'an app without its array',
      // @ts-expect-error -- no array
      () => memoryStore({ policy: { appId: 'a' } }),
      'write `memoryStore([{ policy, … }])`',
    ],
    [
      'an unknown member of the app',
      // @ts-expect-error -- not a member
      () => memoryStore([{ policy: { appId: 'a' }, key: [] }]),
      'unknown option `key`: did you mean `keys`?',
    ],
  ]
  it.each(misplaced)('%s', (_what, make, message) => {
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(message)
  })
})
