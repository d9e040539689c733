import { describe, expect, it } from '@jest/globals'
import request, { type Response } from 'supertest'
import {
  appIdFrom,
  auditAccess,
  domainProtect,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  regionPin,
  returnUrlGuard,
  serverOnly,
  type GuardName,
  type PolicySource,
} from 'portcullis'
import { APP, protectedApp } from '../../support/protected-app.ts'

const OURS = 'https://example.org'
const EVIL = 'https://evil.example'
const appId = appIdFrom({ query: 'app' })
const VARY = 'vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers'

/** The headers that a browser reads in the answer to a preflight. */
function corsOf({ headers }: Response): string[] {
  return Object.entries(headers as Record<string, string>)
    .filter(([name]) => name.startsWith('access-control-') || name === 'vary')
    .map(([name, value]) => `${name}: ${value}`)
    .sort()
}

const mounts: Record<GuardName, (policies: PolicySource) => unknown> = {
  auditAccess: (policies) => auditAccess({ policies, appId, sink: memoryAuditSink() }),
  regionPin: (policies) => regionPin({ policies, appId, here: 'dallas', country: () => 'DE' }),
  ipWhitelist: (policies) => ipWhitelist({ policies, appId }),
  domainProtect: (policies) => domainProtect({ policies, appId }),
  serverOnly: (policies) => serverOnly({ policies, appId, nonces: memoryNonces() }),
  returnUrlGuard: (policies) => returnUrlGuard({ policies, appId, returnUrl: { query: 'return_url' } }),
}

const ENFORCED = { mode: 'enforce' } as const
const DOMAINS = { domainProtect: { ...ENFORCED, domains: [OURS] } }

/** The effect of an earlier guard on a preflight from an origin of the app, by its section. */
const rows: [GuardName, what: string, section: object | undefined, status: number, granted: boolean][] = [
  // A guard that cannot judge a preflight leaves it to domainProtect, which grants it.
  ['regionPin', 'enforces', ENFORCED, 204, true],
  ['serverOnly', 'enforces, and refuses browsers', ENFORCED, 403, false],
  ['returnUrlGuard', 'enforces', { ...ENFORCED, urls: [`${OURS}/`] }, 204, true],
  ['ipWhitelist', 'refuses the address', { ...ENFORCED, ranges: ['203.0.113.0/24'] }, 403, false],
  ['ipWhitelist', 'admits the address', { ...ENFORCED, ranges: ['0.0.0.0/0', '::/0'] }, 204, true],
  ['auditAccess', 'enforces', { ...ENFORCED, onSinkFailure: 'deny' }, 204, true],
  ['auditAccess', 'is not configured', undefined, 403, false],
  ['regionPin', 'is not configured', undefined, 403, false],
  ['ipWhitelist', 'is not configured', undefined, 403, false],
  ['serverOnly', 'is not configured', undefined, 403, false],
  ['returnUrlGuard', 'is not configured', undefined, 403, false],
]

describe('a preflight for a known app, with a guard before domainProtect', () => {
  for (const [name, what, section, status, granted] of rows) {
    for (const origin of [OURS, EVIL]) {
      it(`gets the right answer from ${name}, which ${what}, for ${origin}`, async () => {
        const { app, reached } = protectedApp({ ...DOMAINS, [name]: section }, (policies) => [
          mounts[name](policies),
          mounts.domainProtect(policies),
        ])
        const response = await request(app)
          .options(`/?app=${APP}`)
          .set({ origin, 'access-control-request-method': 'PUT' })
        const isGranted = granted && origin === OURS
        expect(response.status).toBe(isGranted || !granted ? status : 403)
        expect(reached).toEqual([])
        // A refusal is readable by a page of the app, but never looks like a granted preflight.
        const lines = corsOf(response)
        expect(lines).toContain(VARY)
        expect(lines.some((line) => line.startsWith('access-control-allow-methods'))).toBe(isGranted)
        expect(lines.some((line) => line.startsWith('access-control-allow-headers'))).toBe(false)
        if (!isGranted) {
          expect(response.headers['content-type']).toBe('application/problem+json')
          expect(response.body.status).toBe(response.status)
        }
        if (origin === EVIL) expect(lines).toEqual([VARY])
      })
    }
  }
})
