import { describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import {
  auditAccess,
  bodyParsers,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryNonces,
  memoryStore,
  protect,
  regionPin,
  returnUrlGuard,
  serverOnly,
  type PolicySource,
  type ProtectOptions,
  type Refusal,
  type Mode,
  type PolicyInput,
} from 'portcullis'
import { APP, listening } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

/** A policy in which every protection refuses the requests below. */
const policyIn = (mode: Mode): PolicyInput => ({
  appId: APP,
  serverOnly: { mode },
  ipWhitelist: { mode, ranges: ['203.0.113.0/24'] },
  domainProtect: { mode, domains: ['https://example.org'] },
  returnUrlGuard: { mode, urls: ['https://example.org/callback/'] },
  regionPin: { mode, onMisdirected: 'redirect' },
  auditAccess: { mode },
})

/** Answers in every way that a guard could disturb: with headers, a status, a stream, a body. */
const handler: RequestHandler = (req, res) => {
  res.status(req.method === 'POST' ? 201 : 200).set({ vary: 'Accept', 'x-of-handler': '1' })
  res.write(`${req.method} ${req.url}\n`)
  res.end(JSON.stringify(req.body ?? null))
}

const body = '{"return_url":"https://evil.example/"}'
const head = `Host: gateway.example\r\nx-app-id: ${APP}\r\nConnection: close\r\n`
const requests: [string, string][] = [
  ['a GET', `GET /x?y=1 HTTP/1.1\r\n${head}\r\n`],
  ['a HEAD', `HEAD /x HTTP/1.1\r\n${head}\r\n`],
  [
    'a POST from a foreign page',
    `POST /x HTTP/1.1\r\n${head}Origin: https://evil.example\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  ],
  [
    'a POST of a domain of the app',
    `POST /x HTTP/1.1\r\n${head}Origin: https://example.org\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  ],
  [
    'a preflight',
    `OPTIONS /x HTTP/1.1\r\n${head}Origin: https://evil.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n`,
  ],
]

const EVERY = requests.map(([what]) => what)
/** The requests that each guard would refuse and must report. */
const REPORTED: Readonly<Record<string, readonly string[]>> = {
  // A failing sink is detected only after the first request.
  auditAccess: [],
  regionPin: EVERY,
  ipWhitelist: EVERY,
  domainProtect: EVERY.filter((what) => what !== 'a POST of a domain of the app'),
  serverOnly: EVERY,
  returnUrlGuard: EVERY,
}

const failingSink = { write: async () => Promise.reject(new Error('down')) }

const mounts: [string, (options: ProtectOptions) => unknown][] = [
  ['auditAccess', ({ policies, sink, onReport }) => auditAccess({ policies, sink, onReport })],
  [
    'regionPin',
    ({ policies, here, country, bases, onReport }) => regionPin({ policies, here, country, bases, onReport }),
  ],
  ['ipWhitelist', ({ policies, onReport }) => ipWhitelist({ policies, onReport })],
  ['domainProtect', ({ policies, onReport }) => domainProtect({ policies, onReport })],
  ['serverOnly', ({ policies, nonces, onReport }) => serverOnly({ policies, nonces, onReport })],
  [
    'returnUrlGuard',
    ({ policies, returnUrl, onReport }) => returnUrlGuard({ policies, returnUrl, onReport }),
  ],
  ['all six', protect],
]

function mounted(
  mount: (options: ProtectOptions) => unknown,
  policies: PolicySource,
  reported: Refusal[] = [],
): express.Express {
  const guards = mount({
    policies,
    sink: failingSink,
    nonces: memoryNonces(),
    here: 'dallas',
    country: () => 'DE',
    bases: { frankfurt: 'https://fra.example' },
    returnUrl: (req) => (req.body as { return_url?: unknown } | undefined)?.return_url,
    onReport: (decision) => reported.push(decision),
  }) as RequestHandler[]
  return express().use(bodyParsers() as RequestHandler, guards, handler)
}

const bare = express().use(bodyParsers() as RequestHandler, handler)

async function answer(app: express.Express, text: string): Promise<string> {
  const received = await listening(app, (origin) => exchange(Number(new URL(origin).port), text))
  expect(received).toMatch(/\r\nDate: [^\r]+/)
  return received.replace(/\r\nDate: [^\r]+/, '')
}

const sourceOf = (mode: Mode): PolicySource =>
  createPolicySource({ store: memoryStore([{ policy: policyIn(mode) }]) })

describe('report mode', () => {
  for (const [name, mount] of mounts) {
    for (const [what, text] of requests) {
      it(`of ${name} changes no byte of the answer to ${what}`, async () => {
        const reported: Refusal[] = []
        expect(await answer(mounted(mount, sourceOf('report'), reported), text)).toBe(
          await answer(bare, text),
        )
        expect(reported.map(({ guard, mode, effect }) => `${guard} ${mode} ${effect}`).sort()).toEqual(
          (name === 'all six' ? Object.keys(REPORTED) : [name])
            .filter((guard) => REPORTED[guard]?.includes(what))
            .map((guard) => `${guard} report deny`)
            .sort(),
        )
      })
    }

    it(`of ${name} lets requests pass that enforce refuses, and reports them`, async () => {
      const reported: Refusal[] = []
      const app = mounted(mount, sourceOf('report'), reported)
      const [, text] = requests[2] as [string, string]
      await answer(app, text)
      const refused = await answer(mounted(mount, sourceOf('enforce')), text)
      expect(refused).not.toMatch(/^HTTP\/1\.1 2/)
      // A failing sink is detected only after the decision. `enforce` holds back the answer instead.
      if (name !== 'auditAccess') expect(reported.length).toBeGreaterThan(0)
    })
  }
})
