import { describe, expect, it } from '@jest/globals'
import type { RequestListener } from 'node:http'
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
  type GuardName,
  type PolicySource,
  type RequestHandler,
  type SharedOptions,
  type Mode,
  type PolicyInput,
} from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening } from '../../support/protected-app.ts'

const OURS = 'https://example.org'

/** Sections with which `ask` passes. */
const SECTIONS: Record<GuardName, object> = {
  auditAccess: { onSinkFailure: 'deny' },
  regionPin: {},
  ipWhitelist: { ranges: ['127.0.0.0/8', '::1'] },
  domainProtect: { domains: [OURS] },
  serverOnly: {},
  returnUrlGuard: { urls: [`${OURS}/`] },
}

interface More {
  readonly [option: string]: unknown
}

const mounts: Record<GuardName | 'protect', (shared: SharedOptions, more?: More) => RequestHandler[]> = {
  auditAccess: (shared, more) => [auditAccess({ ...shared, sink: memoryAuditSink(), ...more })],
  regionPin: (shared, more) => [regionPin({ ...shared, here: 'london', country: () => 'DE', ...more })],
  ipWhitelist: (shared, more) => [ipWhitelist({ ...shared, ...more })],
  domainProtect: (shared, more) => [domainProtect({ ...shared, ...more })],
  serverOnly: (shared, more) => [serverOnly({ ...shared, nonces: memoryNonces(), ...more })],
  returnUrlGuard: (shared, more) => [returnUrlGuard({ ...shared, returnUrl: () => `${OURS}/home`, ...more })],
  protect: (shared, more) => {
    const own = { sink: memoryAuditSink(), nonces: memoryNonces(), here: 'london', country: () => 'DE' }
    return [protect({ ...shared, ...own, returnUrl: () => `${OURS}/home`, ...more })].flat()
  },
}
const NAMES = Object.keys(mounts) as (GuardName | 'protect')[]

function policyOf(name: GuardName | 'protect', mode: Mode, changed: object = {}): PolicyInput {
  const wanted = Object.entries(SECTIONS).filter(([guard]) => name === 'protect' || guard === name)
  return {
    appId: APP,
    ...Object.fromEntries(wanted.map(([guard, section]) => [guard, { mode, ...section, ...changed }])),
  }
}

const sourceOf = (policy: PolicyInput): PolicySource =>
  createPolicySource({ store: memoryStore([{ policy, keys: [KEY] }]) })

/** Sends a legitimate, signed request with an origin. Resolves with its result, and whether the handler was reached. */
async function ask(guards: readonly RequestHandler[]) {
  let reached = false
  const listener: RequestListener = (req, res) => {
    const pass = (index: number): void => {
      const guard = guards[index]
      if (guard !== undefined) {
        guard(req, res, (error) => (error === undefined ? pass(index + 1) : void res.writeHead(599).end()))
        return
      }
      reached = true
      res.end('through')
    }
    pass(0)
  }
  return listening(listener, async (origin) => {
    const given = {
      'x-app-id': APP,
      ...(guards.length === 1 && guards[0]?.name === 'serverOnly' ? {} : SERVER_ORIGIN),
    }
    const request = { method: 'GET', url: `${origin}/`, headers: given }
    const headers = await signRequest(request, { keyId: KEY.id, secret: KEY.secret })
    const response = await fetch(origin, { headers })
    const text = await response.text()
    return { status: response.status, text, reached }
  })
}
const SERVER_ORIGIN = { 'x-origin': OURS }

/** A change that would make each guard refuse, except in report mode. */
const REFUSED_IN_REPORT: Record<GuardName | 'protect', { changed: object; more: More }> = {
  auditAccess: { changed: {}, more: { sink: { write: async () => Promise.reject(new Error('down')) } } },
  regionPin: { changed: {}, more: { country: () => 'US' } },
  ipWhitelist: { changed: { ranges: ['203.0.113.0/24'] }, more: {} },
  domainProtect: { changed: { domains: ['https://other.example'] }, more: {} },
  serverOnly: { changed: {}, more: {} },
  returnUrlGuard: { changed: { urls: ['https://other.example/'] }, more: {} },
  protect: { changed: {}, more: { country: () => 'US' } },
}

const PASSED = { status: 200, text: 'through', reached: true }
const boom = (): never => {
  throw new Error('redis://user:secret@host')
}
const rejects = async (): Promise<never> => Promise.reject(new Error('redis://user:secret@host'))

for (const name of NAMES) {
  describe(`${name}, when something that it uses fails`, () => {
    it('lets the request pass if nothing fails, so that the tests below are meaningful', async () => {
      expect(await ask(mounts[name]({ policies: sourceOf(policyOf(name, 'enforce')) }))).toEqual(PASSED)
    })

    const sources: [what: string, policies: PolicySource][] = [
      ['a store that throws', createPolicySource({ store: { read: boom } })],
      ['a store that rejects', createPolicySource({ store: { read: rejects } })],
      ['a source whose `peek` throws', { ...sourceOf(policyOf(name, 'enforce')), peek: boom }],
      [
        'a source whose `load` throws',
        { ...sourceOf(policyOf(name, 'enforce')), peek: () => undefined, load: boom },
      ],
      [
        'a source whose `load` rejects',
        { ...sourceOf(policyOf(name, 'enforce')), peek: () => undefined, load: rejects },
      ],
      [
        'a source that resolves with something that is not an app',
        { ...sourceOf(policyOf(name, 'enforce')), peek: () => undefined, load: async () => 1 as never },
      ],
      [
        'a source whose `peek` returns an app without a policy',
        { ...sourceOf({ appId: APP }), peek: () => ({}) as never },
      ],
    ]
    for (const [what, policies] of sources) {
      it(`answers 503, and does not call the handler: ${what}`, async () => {
        const { status, text, reached } = await ask(mounts[name]({ policies }))
        expect([status, reached]).toEqual([503, false])
        expect(text).not.toContain('secret')
      })
    }

    for (const [how, listener] of [
      ['throw', boom],
      ['reject', rejects as never],
    ] as const) {
      it(`lets the request pass in mode \`report\`, and reports it, when its listeners ${how}`, async () => {
        let calls = 0
        const onReport = () => ((calls += 1), listener())
        const { changed, more } = REFUSED_IN_REPORT[name]
        const policies = createPolicySource({
          store: memoryStore([{ policy: policyOf(name, 'report', changed) }]),
        })
        const guards = mounts[name]({ policies, onReport, onDeny: listener }, more)
        // The first request detects a failing sink, and the second is refused.
        for (let count = 0; count < 2; count += 1) expect(await ask(guards)).toEqual(PASSED)
        expect(calls).toBeGreaterThan(0)
      })
    }

    it('lets the request pass in mode `off`, and calls no option', async () => {
      const policies = sourceOf(policyOf(name, 'off'))
      const guards = mounts[name]({ policies, onReport: boom, onDeny: boom }, REFUSED_IN_REPORT[name].more)
      expect(await ask(guards)).toEqual(PASSED)
    })

    for (const [what, onDeny] of [
      ['throws', boom],
      ['rejects', rejects as never],
      [
        'throws after it has called `next`',
        ((_d: never, _q: never, _s: never, next: (error: unknown) => void) => {
          next(new Error('mine'))
          boom()
        }) as never,
      ],
    ] as const) {
      it(`refuses, and does not call the handler, when \`onDeny\` ${what}`, async () => {
        const policies = sourceOf({ appId: APP })
        const { status, reached } = await ask(mounts[name]({ policies, onDeny }))
        expect([what.includes('next') ? 599 : 403, false]).toEqual([status, reached])
      })
    }
  })
}

describe('an option that fails closes the guard that it belongs to', () => {
  const rows: [GuardName, what: string, more: More, statuses: readonly number[]][] = [
    ['serverOnly', '`nonces` throws', { nonces: { claim: boom } }, [503]],
    ['serverOnly', '`nonces` rejects', { nonces: { claim: rejects } }, [503]],
    ['serverOnly', '`nonces` answers with something else', { nonces: { claim: () => 'yes' } }, [503]],
    ['serverOnly', '`now` throws', { now: boom }, [503]],
    ['serverOnly', '`authority` throws', { authority: boom }, [401, 503]],
    ['serverOnly', '`scheme` throws', { scheme: { name: 'x', verify: boom } }, [401, 503]],
    [
      'serverOnly',
      '`scheme` answers with something else',
      { scheme: { name: 'x', verify: () => true } },
      [401, 503],
    ],
    ['auditAccess', '`sink` throws', { sink: { write: boom } }, [503]],
    ['auditAccess', '`sink` rejects', { sink: { write: rejects } }, [503]],
    ['regionPin', '`country` throws', { country: boom }, [403, 503]],
    ['returnUrlGuard', '`returnUrl` throws', { returnUrl: boom }, [400, 503]],
  ]
  for (const [name, what, more, statuses] of rows) {
    it(`${name}, when ${what}`, async () => {
      const policies = sourceOf(policyOf(name, 'enforce'))
      const { status, text, reached } = await ask(mounts[name]({ policies }, more))
      expect(statuses).toContain(status)
      expect(text).not.toMatch(/secret|through/)
      // The audit holds back the handler's answer, because it records what the handler did.
      expect(reached).toBe(name === 'auditAccess')
    })
  }

  it.each(NAMES)('%s, when `appId` throws', async (name) => {
    const { status, reached } = await ask(
      mounts[name]({ policies: sourceOf(policyOf(name, 'enforce')), appId: boom }),
    )
    expect([401, 503]).toContain(status)
    expect(reached).toBe(false)
  })
})
