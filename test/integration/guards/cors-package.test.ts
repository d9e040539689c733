import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import cors, { type CorsOptions, type CorsOptionsDelegate } from 'cors'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Express, type RequestHandler } from 'express'
import { appIdFrom, createPolicySource, domainProtect, memoryStore } from 'portcullis'
import { repository } from '../../support/commands.ts'

/**
 * The documented cases of the `cors` package (its README), each compared with an equivalent policy by the same requests
 * to a real server. All differences are listed with the reason. There may be no others.
 */

const APP = 'http://example.com'
const OTHER = 'https://stranger.example'
const SUBDOMAIN = 'http://sub.example2.com'

interface Answer {
  readonly status: number
  /** CORS headers and `Vary`; `handler` says whether the handler has answered. */
  readonly headers: Readonly<Record<string, string>>
}

type Question = readonly [what: string, method: string, headers: Readonly<Record<string, string>>]

const get = (origin?: string): Question => [
  `GET from ${origin ?? 'no origin'}`,
  'GET',
  origin === undefined ? {} : { origin },
]
const ask = (origin: string, method = 'DELETE', asked = 'x-custom'): Question => [
  `preflight for ${method} from ${origin}`,
  'OPTIONS',
  { origin, 'access-control-request-method': method, 'access-control-request-headers': asked },
]

/** The reasons for different answers, as in docs/guards/domain-protect.md. */
const REASONS = {
  named: 'The answer names the origin, never `*`.',
  refused: 'An origin that is not allowed is refused with 403, and does not learn which origins are allowed.',
  vary: '`Vary` names everything that the answer depends on.',
  server: 'A request without `Origin` must name a domain in `X-Origin`.',
  options: 'An OPTIONS request that is not a preflight is treated like any other request.',
  continued: 'A preflight never reaches the handler.',
  method: '`methods` also applies to requests that need no preflight.',
  preflightOnly:
    'The answer to a preflight has no `Access-Control-Expose-Headers`, because there is nothing to read.',
  success: 'A preflight is answered with 204.',
} as const

type Difference = readonly [reason: keyof typeof REASONS, ours: Answer]

interface Case {
  readonly name: string
  readonly options?: CorsOptions | CorsOptionsDelegate | undefined
  readonly policy: object
  readonly questions: readonly (readonly [Question, theirs: Answer, ...ours: Difference[]])[]
}

const answered = (headers: Record<string, string>, status = 200): Answer => ({
  status,
  headers: { ...headers, handler: 'reached' },
})
const preflighted = (headers: Record<string, string>, status = 204): Answer => ({ status, headers })
const refusedWith = (headers: Record<string, string>): Answer => ({ status: 403, headers })

const ANY = { 'access-control-allow-origin': '*' }
const VARY = { vary: 'Origin' }
const VARY_ALL = { vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers' }
const REFLECTING = { vary: 'Access-Control-Request-Headers' }
const VARY_REFLECTING = { vary: 'Origin, Access-Control-Request-Headers' }
const METHODS = { 'access-control-allow-methods': 'GET,HEAD,PUT,PATCH,POST,DELETE' }
const CUSTOM = { 'access-control-allow-headers': 'x-custom' }
const named = (origin: string) => ({ 'access-control-allow-origin': origin })

const refusedRequest: Difference = ['refused', refusedWith(VARY)]
const refusedPreflight: Difference = ['refused', refusedWith(VARY_ALL)]
const withoutOrigin: Difference = ['server', refusedWith(VARY)]

const cases: readonly Case[] = [
  {
    name: 'simple usage, across the board, and on a single route: cors()',
    policy: { domains: [APP] },
    questions: [
      [get(APP), answered(ANY), ['named', answered({ ...named(APP), ...VARY })]],
      [
        ask(APP),
        preflighted({ ...ANY, ...METHODS, ...CUSTOM, ...REFLECTING }),
        ['named', preflighted({ ...named(APP), ...METHODS, ...CUSTOM, ...VARY_ALL })],
      ],
      [get(OTHER), answered(ANY), refusedRequest],
      [get(), answered(ANY), withoutOrigin],
    ],
  },
  {
    name: 'a configured origin, and optionsSuccessStatus',
    options: { origin: APP, optionsSuccessStatus: 200 },
    policy: { domains: [APP] },
    questions: [
      [get(APP), answered({ ...named(APP), ...VARY })],
      [get(OTHER), answered({ ...named(APP), ...VARY }), refusedRequest],
      [get(), answered({ ...named(APP), ...VARY }), withoutOrigin],
      [
        ask(APP),
        preflighted({ ...named(APP), ...METHODS, ...CUSTOM, ...VARY_REFLECTING }, 200),
        ['success', preflighted({ ...named(APP), ...METHODS, ...CUSTOM, ...VARY_ALL })],
      ],
      [
        ask(OTHER),
        preflighted({ ...named(APP), ...METHODS, ...CUSTOM, ...VARY_REFLECTING }, 200),
        refusedPreflight,
      ],
    ],
  },
  {
    name: 'a dynamic origin from a database: our store',
    options: { origin: (origin, done) => done(null, origin === APP) },
    policy: { domains: [APP] },
    questions: [
      // `cors` reflects for `true`, and writes nothing at all for `false`, not even `Vary`.
      [get(APP), answered({ ...named(APP), ...VARY })],
      [get(OTHER), answered({}), refusedRequest],
      [
        ask(APP),
        preflighted({ ...named(APP), ...METHODS, ...CUSTOM, ...VARY_REFLECTING }),
        ['vary', preflighted({ ...named(APP), ...METHODS, ...CUSTOM, ...VARY_ALL })],
      ],
      [ask(OTHER), answered({}), refusedPreflight],
    ],
  },
  {
    name: 'a list of origins with a pattern for subdomains',
    options: { origin: [APP, /^http:\/\/[^/]+\.example2\.com$/] },
    policy: { domains: [APP, 'http://*.example2.com'] },
    questions: [
      [get(APP), answered({ ...named(APP), ...VARY })],
      [get(SUBDOMAIN), answered({ ...named(SUBDOMAIN), ...VARY })],
      [get('http://notexample2.com'), answered(VARY), refusedRequest],
      [get(OTHER), answered(VARY), refusedRequest],
      [get('null'), answered(VARY), refusedRequest],
    ],
  },
  {
    name: 'origin: true reflects every origin; ours has no such thing',
    options: { origin: true },
    policy: { domains: [APP] },
    questions: [
      [get(APP), answered({ ...named(APP), ...VARY })],
      [get(OTHER), answered({ ...named(OTHER), ...VARY }), refusedRequest],
    ],
  },
  {
    name: 'origin: false switches CORS off: an empty list',
    options: { origin: false },
    policy: { domains: [] },
    questions: [
      [get(APP), answered({}), refusedRequest],
      [ask(APP), answered({}), refusedPreflight],
    ],
  },
  {
    name: 'a preflight enabled for a route: methods',
    options: { origin: [APP], methods: ['GET', 'DELETE'] },
    policy: { domains: [APP], methods: ['GET', 'DELETE'] },
    questions: [
      [
        ask(APP),
        preflighted({
          ...named(APP),
          'access-control-allow-methods': 'GET,DELETE',
          ...CUSTOM,
          ...VARY_REFLECTING,
        }),
        [
          'vary',
          preflighted({
            ...named(APP),
            'access-control-allow-methods': 'GET,DELETE',
            ...CUSTOM,
            ...VARY_ALL,
          }),
        ],
      ],
      [['DELETE', 'DELETE', { origin: APP }], answered({ ...named(APP), ...VARY })],
      [
        ['POST, which needs no preflight', 'POST', { origin: APP }],
        answered({ ...named(APP), ...VARY }),
        [
          'method',
          refusedWith({
            ...named(APP),
            'access-control-expose-headers': 'x-request-id,retry-after',
            ...VARY,
          }),
        ],
      ],
    ],
  },
  {
    name: 'allowedHeaders, exposedHeaders, credentials and maxAge',
    options: {
      origin: [APP],
      allowedHeaders: ['content-type', 'authorization'],
      exposedHeaders: ['content-range', 'x-content-range'],
      credentials: true,
      maxAge: 600,
    },
    policy: {
      domains: [APP],
      headers: ['content-type', 'authorization'],
      exposedHeaders: ['content-range', 'x-content-range'],
      credentials: true,
      maxAge: 600,
    },
    questions: [
      [
        get(APP),
        answered({
          ...named(APP),
          'access-control-allow-credentials': 'true',
          'access-control-expose-headers': 'content-range,x-content-range',
          ...VARY,
        }),
      ],
      [
        ask(APP),
        preflighted({
          ...named(APP),
          ...METHODS,
          'access-control-allow-credentials': 'true',
          'access-control-allow-headers': 'content-type,authorization',
          'access-control-expose-headers': 'content-range,x-content-range',
          'access-control-max-age': '600',
          ...VARY,
        }),
        [
          'preflightOnly',
          preflighted({
            ...named(APP),
            ...METHODS,
            'access-control-allow-credentials': 'true',
            'access-control-allow-headers': 'content-type,authorization',
            'access-control-max-age': '600',
            ...VARY_ALL,
          }),
        ],
      ],
      [
        get(OTHER),
        answered({
          'access-control-allow-credentials': 'true',
          'access-control-expose-headers': 'content-range,x-content-range',
          ...VARY,
        }),
        refusedRequest,
      ],
    ],
  },
  {
    name: 'maxAge: 0',
    options: { origin: [APP], maxAge: 0, allowedHeaders: [] },
    policy: { domains: [APP], maxAge: 0, headers: [] },
    questions: [
      [
        ask(APP),
        preflighted({ ...named(APP), ...METHODS, 'access-control-max-age': '0', ...VARY }),
        ['vary', preflighted({ ...named(APP), ...METHODS, 'access-control-max-age': '0', ...VARY_ALL })],
      ],
    ],
  },
  {
    name: 'settings by request: the policy of the app that calls',
    options: (req, done) => done(null, { origin: [APP], credentials: req.headers.origin === APP }),
    policy: { domains: [APP], credentials: true },
    questions: [
      [get(APP), answered({ ...named(APP), 'access-control-allow-credentials': 'true', ...VARY })],
      [get(OTHER), answered(VARY), refusedRequest],
    ],
  },
  {
    name: 'preflightContinue',
    options: { origin: [APP], preflightContinue: true },
    policy: { domains: [APP] },
    questions: [
      [
        ask(APP),
        answered({ ...named(APP), ...METHODS, ...CUSTOM, ...VARY_REFLECTING }),
        ['continued', preflighted({ ...named(APP), ...METHODS, ...CUSTOM, ...VARY_ALL })],
      ],
    ],
  },
  {
    name: 'an OPTIONS that asks for no method',
    options: { origin: [APP] },
    policy: { domains: [APP] },
    questions: [
      [
        ['OPTIONS', 'OPTIONS', { origin: APP }],
        preflighted({ ...named(APP), ...METHODS, ...VARY_REFLECTING }),
        ['options', answered({ ...named(APP), ...VARY })],
      ],
    ],
  },
]

const COMPARED = /^(access-control-|vary$|handler$)/

/** Serves every case twice: `/n/theirs` with `cors`, and `/n/ours` with `domainProtect`. */
function serve(): Express {
  const app = express()
  const store = memoryStore(
    cases.map(({ policy }, index) => ({
      policy: { appId: String(index), domainProtect: { mode: 'enforce', ...policy } },
    })),
  )
  const policies = createPolicySource({ store })
  const handler: RequestHandler = (_req, res) => void res.set('handler', 'reached').end()
  for (const [index, { options }] of cases.entries()) {
    app.use(`/${index}/theirs`, cors(options as CorsOptions) as RequestHandler, handler)
    app.use(
      `/${index}/ours`,
      domainProtect({ policies, appId: appIdFrom({ query: 'app' }) }) as RequestHandler,
      handler,
    )
  }
  return app
}

let server: Server
beforeAll(async () => {
  server = createServer(serve())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

async function answerTo([, method, headers]: Question, path: string): Promise<Answer> {
  const { port } = server.address() as AddressInfo
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path, method, headers }, (response) => {
      response.resume()
      const compared = Object.entries(response.headers).filter(([name]) => COMPARED.test(name))
      resolve({
        status: response.statusCode ?? 0,
        headers: Object.fromEntries(compared) as Answer['headers'],
      })
    })
      .on('error', reject)
      .end()
  })
}

describe('domainProtect compared with the cors package', () => {
  for (const [index, { name, questions }] of cases.entries()) {
    describe(`documented: ${name}`, () => {
      for (const [question, theirs, difference] of questions) {
        const [reason, ours] = difference ?? [undefined, theirs]
        it(`${question[0]}: ${reason === undefined ? 'the same' : REASONS[reason]}`, async () => {
          expect(await answerTo(question, `/${index}/theirs`)).toEqual(theirs)
          expect(await answerTo(question, `/${index}/ours?app=${index}`)).toEqual(ours)
          if (reason !== undefined) expect(ours).not.toEqual(theirs)
        })
      }
    })
  }

  it('differs for exactly the reasons in docs/guards/domain-protect.md', () => {
    const used = new Set(
      cases.flatMap(({ questions }) => questions.flatMap(([, , difference]) => difference?.[0] ?? [])),
    )
    expect(used).toEqual(new Set(Object.keys(REASONS)))
    const [, after = ''] = readFileSync(join(repository, 'docs/guards/domain-protect.md'), 'utf8').split(
      'Where it differs from `cors`',
    )
    const [list = ''] = after.split('\n## ')
    const listed = [...list.matchAll(/^- (.*)$/gm)].map(([, reason]) => reason)
    expect(new Set(listed)).toEqual(new Set(Object.values(REASONS)))
  })
})
