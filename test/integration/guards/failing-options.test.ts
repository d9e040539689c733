import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createServer, type RequestListener, type Server } from 'node:http'
import express from 'express'
import {
  auditAccess,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  regionPin,
  returnUrlGuard,
  serverOnly,
  type PolicySource,
  type RequestHandler,
} from 'portcullis'
import { AUDIT_ACCESS_EXPECTATIONS } from '../../../src/http/audit-access.ts'
import { DOMAIN_PROTECT_EXPECTATIONS } from '../../../src/http/domain-protect.ts'
import { IP_WHITELIST_EXPECTATIONS } from '../../../src/http/ip-whitelist.ts'
import { REGION_PIN_EXPECTATIONS } from '../../../src/http/region-pin.ts'
import { RETURN_URL_GUARD_EXPECTATIONS } from '../../../src/http/return-url-guard.ts'
import { SERVER_ONLY_EXPECTATIONS } from '../../../src/http/server-only.ts'
import { SHARED_EXPECTATIONS } from '../../../src/http/shared-options.ts'
import { APP, KEY } from '../../support/protected-app.ts'
import { signedFetch } from 'portcullis/client'

/**
 * The effect of a failing option function on the request. `asked`: the request depends on its result, and is refused.
 * `label`: a default is used. `told`: a listener, whose failure has no effect. `answers`: it writes the refusal, and
 * the problem document is sent instead. `no function`: the option is never a function.
 */
type Kind = 'asked' | 'label' | 'told' | 'answers' | 'no function'

/** Every option of every guard. Add new options here. */
const KINDS: Readonly<Record<string, Kind>> = {
  policies: 'no function',
  appId: 'asked',
  onDecision: 'told',
  onDeny: 'answers',
  onReport: 'told',
  logger: 'told',
  requestId: 'label',
  optionTimeout: 'no function',
  sink: 'no function',
  pseudonymKey: 'no function',
  actor: 'label',
  why: 'label',
  models: 'no function',
  leakGuard: 'no function',
  leakShare: 'no function',
  operation: 'label',
  sinkTimeout: 'no function',
  maxBacklog: 'no function',
  judgements: 'no function',
  onError: 'told',
  clientAddress: 'asked',
  authority: 'asked',
  nonces: 'no function',
  explainMismatch: 'no function',
  scheme: 'no function',
  nonceTimeout: 'no function',
  keyExpiryWarning: 'no function',
  now: 'asked',
  returnUrl: 'asked',
  referer: 'no function',
  relativeTo: 'no function',
  reserved: 'no function',
  here: 'no function',
  country: 'asked',
  personId: 'asked',
  store: 'no function',
  jurisdictions: 'no function',
  bases: 'no function',
  handOver: 'asked',
  pathPrefix: 'no function',
  streamed: 'no function',
}

/**
 * Options that do not affect a decision: the audit only records the address, and `regionPin` only warns with its clock.
 */
const LABELS_OF: Readonly<Record<string, readonly string[]>> = {
  auditAccess: ['clientAddress'],
  regionPin: ['now'],
}

const GUARDS = {
  ipWhitelist: [ipWhitelist, IP_WHITELIST_EXPECTATIONS],
  domainProtect: [domainProtect, DOMAIN_PROTECT_EXPECTATIONS],
  serverOnly: [serverOnly, SERVER_ONLY_EXPECTATIONS],
  returnUrlGuard: [returnUrlGuard, RETURN_URL_GUARD_EXPECTATIONS],
  regionPin: [regionPin, REGION_PIN_EXPECTATIONS],
  auditAccess: [auditAccess, AUDIT_ACCESS_EXPECTATIONS],
} as const

type Name = keyof typeof GUARDS
const NAMES = Object.keys(GUARDS) as Name[]

const OPEN = {
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '::1'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  serverOnly: { mode: 'enforce' },
  returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/'] },
  regionPin: { mode: 'enforce', onMisdirected: 'handOver' },
  auditAccess: { mode: 'enforce' },
}

const FAULTS: Readonly<Record<string, () => unknown>> = {
  throws: () => {
    throw new Error('a fault of the option')
  },
  'throws undefined': () => {
    // oxlint-disable-next-line typescript/only-throw-error, no-throw-literal -- integrators do
    throw undefined
  },
  rejects: () => Promise.reject(new Error('a fault of the option')),
  'never answers': () => new Promise(() => undefined),
  'returns a thenable whose `then` throws': () => ({
    // oxlint-disable-next-line unicorn/no-thenable -- that is the fault
    then() {
      throw new Error('a fault of the thenable')
    },
  }),
  'returns a thenable with a getter that throws': () => ({
    // oxlint-disable-next-line unicorn/no-thenable -- that is the fault
    get then(): never {
      throw new Error('a fault of the getter')
    },
  }),
}

const NONSENSE: readonly unknown[] = [
  undefined,
  null,
  0,
  NaN,
  1n,
  true,
  '',
  ' ',
  '\r\nX: y',
  'a'.repeat(10_000),
  '\u{1F512}',
  '__proto__',
  Symbol('nonsense'),
  [],
  {},
  [['a']],
  Object.create(null),
  new Date(NaN),
  () => 'x',
  new Proxy({}, {}),
]

const faultsOfProcess: unknown[] = []
const note = (error: unknown): void => void faultsOfProcess.push(error)

beforeEach(() => {
  faultsOfProcess.length = 0
  process.on('unhandledRejection', note).on('uncaughtException', note)
})

afterEach(() => {
  process.off('unhandledRejection', note).off('uncaughtException', note)
})

interface Answer {
  status: number
  code: unknown
  id: string | null
  reached: boolean
}

/** The current app. Each request has its own app. */
let app: RequestListener
let server: Server
let origin: string

beforeAll(async () => {
  server = createServer((req, res) => app(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`
})

afterAll(() => server.close().closeAllConnections())

const send = signedFetch({ keyId: KEY.id, secret: KEY.secret, appId: APP, origin: 'https://example.org' })

async function ask(
  guards: (policies: PolicySource) => RequestHandler,
  temperature: string,
  sections: object,
): Promise<Answer> {
  const store = memoryStore([{ policy: { appId: APP, ...sections }, keys: [KEY] }])
  // A source allocates the slots of all its apps at once, and there are 2,000 sources here.
  const policies = createPolicySource({ store, maxApps: 10 })
  if (temperature === 'warm') await policies.load(APP)
  let reached = false
  app = express()
    .use(guards(policies) as express.RequestHandler)
    .use((_req, res) => {
      reached = true
      res.json({ ok: true })
    })
  const response = await send(`${origin}/`)
  const { code } = (await response.json()) as { code?: unknown }
  // An unhandled rejection would appear in a later turn.
  await new Promise((resolve) => setImmediate(resolve))
  policies.close()
  return { status: response.status, code, id: response.headers.get('x-request-id'), reached }
}

/** Valid options of all guards. */
function optionsOf(policies: unknown): Record<string, unknown> {
  return {
    policies,
    optionTimeout: 40,
    sink: memoryAuditSink(),
    nonces: memoryNonces(),
    here: 'london',
    country: () => 'DE',
    returnUrl: () => 'https://example.org/cb',
  }
}

/** The options of one guard. */
function mountOf(name: Name, options: Record<string, unknown>): RequestHandler {
  const [factory, expectations] = GUARDS[name]
  const known = new Set([...Object.keys(SHARED_EXPECTATIONS), ...Object.keys(expectations)])
  const own = Object.fromEntries(Object.entries(options).filter(([option]) => known.has(option)))
  return (factory as (given: never) => RequestHandler)(own as never)
}

/** The circumstances in which an option is called: a refusal for `onDeny`, a person from elsewhere for a hand-over. */
function circumstances(option: string): { sections: object; given: Record<string, unknown> } {
  if (option === 'onDeny') return { sections: OPEN, given: { appId: () => 'no-such-app' } }
  if (option === 'onReport') return { sections: refusing('report'), given: {} }
  if (option === 'handOver') return { sections: OPEN, given: { country: () => 'US' } }
  return { sections: OPEN, given: {} }
}

function refusing(mode: string): object {
  return {
    ipWhitelist: { mode, ranges: [] },
    domainProtect: { mode, domains: [] },
    serverOnly: { mode, maxAge: 1 },
    returnUrlGuard: { mode, urls: [] },
    regionPin: { mode },
    auditAccess: { mode: 'enforce' },
  }
}

describe('options that are functions', () => {
  it('are exactly those in the table', () => {
    const options = NAMES.flatMap((name) => Object.keys(GUARDS[name][1]))
    expect(Object.keys(KINDS).toSorted()).toEqual(
      [...new Set([...Object.keys(SHARED_EXPECTATIONS), ...options])].toSorted(),
    )
  })

  const mounts: [string, readonly string[], (options: Record<string, unknown>) => RequestHandler][] = [
    ...NAMES.map((name): (typeof mounts)[number] => [
      name,
      [...Object.keys(SHARED_EXPECTATIONS), ...Object.keys(GUARDS[name][1])],
      (options) => mountOf(name, options),
    ]),
    ['protect', Object.keys(KINDS), (options) => protect(options as never)],
  ]

  for (const [name, options, build] of mounts) {
    for (const option of options) {
      const kind = LABELS_OF[name]?.includes(option) === true ? 'label' : KINDS[option]
      if (kind === undefined || kind === 'no function') continue
      const { sections, given } = circumstances(option)
      const answer = async (fault: () => unknown, temperature: string): Promise<Answer> =>
        await ask(
          (policies) => build({ ...optionsOf(policies), ...given, [option]: fault }),
          temperature,
          sections,
        )

      for (const temperature of ['cold', 'warm']) {
        for (const [what, fault] of Object.entries(FAULTS)) {
          if (kind === 'answers' && what === 'never answers') continue
          it(`${name}: \`${option}\` ${what} (${temperature} app)`, async () => {
            const { status, code, id, reached } = await answer(fault, temperature)
            expect(faultsOfProcess).toEqual([])
            if (kind === 'asked') {
              expect([status, code, reached]).toEqual([503, 'OPTION_FAILED', false])
            } else if (kind === 'answers') {
              expect([status >= 400, typeof code, reached]).toEqual([true, 'string', false])
            } else {
              expect([status, reached]).toEqual([200, true])
            }
            if (id !== null) expect(id).toMatch(/^[!-~]{1,200}$/)
          })
        }
      }

      // An `onDeny` has five seconds to answer, which a separate test covers.
      if (kind === 'answers') continue
      it(`${name}: \`${option}\` returns nonsense`, async () => {
        for (const nonsense of NONSENSE) {
          const { status, id, reached } = await answer(() => nonsense, 'warm')
          expect(faultsOfProcess).toEqual([])
          if (kind === 'label' || kind === 'told') expect([status, reached]).toEqual([200, true])
          // A server that sends its origin passes `domainProtect`, even if our own origin is unknown.
          else if (name === 'domainProtect' && option === 'authority')
            expect(status).toBe(nonsense === undefined ? 200 : 503)
          // If the identifier names no jurisdiction, the country does.
          else if (option === 'personId') expect([status, reached]).toEqual([200, true])
          else expect([status >= 400, status === 500, reached]).toEqual([true, false, false])
          if (id !== null) expect(id).toMatch(/^[ -~]{1,200}$/)
        }
      })
    }
  }
})
