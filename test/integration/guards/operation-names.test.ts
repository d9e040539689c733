import { METHODS } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import express, { type Express, type RequestHandler, type Router } from 'express'
import fc from 'fast-check'
import { auditAccess, createPolicySource, domainProtect, memoryAuditSink, memoryStore } from 'portcullis'
import { APP, listening } from '../../support/protected-app.ts'

const isExpress4 = 'lazyrouter' in express.application
const CANARY = 'canary'
const VALUE = 'canary%40example.org'

const policies = createPolicySource({
  store: memoryStore([{ policy: { appId: APP, auditAccess: { mode: 'enforce', onSinkFailure: 'allow' } } }]),
})

/** The operation names of these requests in the audit. */
async function namesOf(
  build: (app: Express) => void,
  requests: readonly (readonly [method: string, path: string])[],
): Promise<string[]> {
  const sink = memoryAuditSink()
  const app = express().use(auditAccess({ policies, sink }) as RequestHandler)
  app.set('env', 'test') // Express prints no errors of handlers
  build(app)
  await listening(app, async (origin) => {
    for (const [method, path] of requests) {
      const response = await fetch(origin + path, { method, headers: { 'x-app-id': APP, 'x-email': CANARY } })
      await response.arrayBuffer()
    }
    while (sink.events().length < requests.length) await new Promise((resolve) => setImmediate(resolve))
  })
  return sink.events().map((event) => (event.kind === 'operation' ? event.operation : ''))
}

const answer: RequestHandler = (_req, res) => void res.end()
const fail: RequestHandler = () => {
  throw new Error('of the application')
}
const routerWith = (path: string | RegExp | string[], handler = answer, options = {}): Router =>
  express.Router(options).all(path as string, handler)
const rest = isExpress4 ? '*' : '*rest'
const optional = isExpress4 ? '/x/:name?' : '/x{/:name}'

const cases: readonly (readonly [
  what: string,
  build: (app: Express) => void,
  path: string,
  name: string,
  method?: string,
])[] = [
  ['a route', (app) => app.get('/me', answer), '/me', 'GET /me'],
  ['the route of the root', (app) => app.get('/', answer), '/', 'GET /'],
  ['a route in another spelling', (app) => app.get('/me', answer), '/ME/', 'GET /me'],
  ['a parameter', (app) => app.get('/people/:email', answer), `/people/${VALUE}`, 'GET /people/:email'],
  ['an encoded slash', (app) => app.get('/people/:id', answer), '/people/canary%2Fme', 'GET /people/:id'],
  ['a query', (app) => app.get('/me', answer), `/me?email=${VALUE}`, 'GET /me'],
  ['a static mount', (app) => app.use('/auth', routerWith('/me')), '/auth/me', 'GET /auth/me'],
  [
    'a static mount in another spelling',
    (app) => app.use('/auth', routerWith('/me')),
    '/AUTH/me',
    'GET /auth/me',
  ],
  [
    'a mount with a slash at its end',
    (app) => app.use('/auth/', routerWith('/me')),
    '/auth/me',
    'GET /auth/me',
  ],
  ['the root of a mount', (app) => app.use('/auth', routerWith('/')), '/auth', 'GET /auth'],
  ['a mount at the root', (app) => app.use(routerWith('/me')), '/me', 'GET /me'],
  [
    'a mount of several segments',
    (app) => app.use('/v1.0/auth-x', routerWith('/me')),
    '/v1.0/auth-x/me',
    'GET /v1.0/auth-x/me',
  ],
  [
    'a mount with a parameter',
    (app) => app.use('/people/:email', routerWith('/orders')),
    `/people/${VALUE}/orders`,
    'GET /people/:email/orders',
  ],
  [
    'a mount whose parameters are merged',
    (app) => app.use('/people/:email', routerWith('/orders/:id', answer, { mergeParams: true })),
    `/people/${VALUE}/orders/1`,
    'GET /people/:email/orders/:id',
  ],
  [
    'parameters that equal static words',
    (app) => app.use('/people/:people', routerWith('/orders/:id')),
    '/people/people/orders/orders',
    'GET /people/:people/orders/:id',
  ],
  [
    'an array of paths',
    (app) => app.get(['/login', '/people/:email'], answer),
    `/people/${VALUE}`,
    'GET /people/:email',
  ],
  [
    'an array of mounts',
    (app) => app.use(['/v1', '/v2/:tenant'], routerWith('/me')),
    `/v2/${VALUE}/me`,
    'GET /v2/:tenant/me',
  ],
  [
    'an expression',
    (app) => app.get(/^\/people\/([^/]+)$/, answer),
    `/people/${VALUE}`,
    'GET ^\\/people\\/([^/]+)$',
  ],
  [
    'an expression with `|^` in it',
    (app) => app.get(/^\/a$|^\/people\/[^/]+$/, answer),
    `/people/${VALUE}`,
    'GET ^\\/a$|^\\/people\\/[^/]+$',
  ],
  [
    'a mount by an expression',
    (app) => app.use(/^\/people\/[^/]+/, routerWith('/me')),
    `/people/${VALUE}/me`,
    'GET ^\\/people\\/[^/]+/me',
  ],
  ['a wildcard', (app) => app.get(`/files/${rest}`, answer), `/files/${VALUE}/x`, `GET /files/${rest}`],
  ['an optional part that is there', (app) => app.get(optional, answer), `/x/${VALUE}`, `GET ${optional}`],
  ['an optional part that is missing', (app) => app.use(optional, routerWith('/')), '/x', `GET ${optional}`],
  [
    'an application in an application',
    (app) => app.use('/shop/:tenant', express().use('/v1', routerWith('/me'))),
    `/shop/${VALUE}/v1/me`,
    'GET /shop/:tenant/v1/me',
  ],
  [
    'an application in two places',
    (app) => {
      const inner = express().get('/me', answer)
      app.use('/a', inner).use('/b', inner)
    },
    '/a/me',
    'GET /a/me',
  ],
  [
    'a router in two places',
    (app) => {
      const inner = routerWith('/me')
      app.use('/a', inner).use('/b/:id', inner)
    },
    `/b/${VALUE}/me`,
    'GET /b/:id/me',
  ],
  [
    'an application that a router mounts',
    (app) => app.use('/a', express.Router().use('/b', express().get('/me', answer))),
    '/a/b/me',
    'GET /a/b/me',
  ],
  [
    'a router behind a function',
    (app) => {
      const inner = routerWith('/me')
      app.use(`/people/:email`, (req, res, next) => inner(req, res, next))
    },
    `/people/${VALUE}/me`,
    'GET /*/me',
  ],
  [
    'a target that was rewritten',
    (app) =>
      app
        .use((req, _res, next) => {
          req.url = `/v1${req.url}`
          next()
        })
        .use('/v1', routerWith('/people/:email')),
    `/people/${VALUE}`,
    'GET /v1/people/:email',
  ],
  [
    'an error in a nested router',
    (app) => app.use('/people/:email', express.Router().use('/x', routerWith('/throws', fail))),
    `/people/${VALUE}/x/throws`,
    'GET /people/:email/x/throws',
  ],
  ['an error in a route', (app) => app.get('/people/:email', fail), `/people/${VALUE}`, 'GET /people/:email'],
  [
    'an error in an application, which the outer one answers',
    (app) => app.use('/people/:email', express().get('/throws', fail)),
    `/people/${VALUE}/throws`,
    'GET /*/throws',
  ],
  [
    'an error of `router.param`',
    (app) =>
      app.use(
        '/x',
        (() => {
          const inner = routerWith('/people/:email')
          inner.param('email', (_req, _res, next) => next(new Error('of the application')))
          return inner
        })(),
      ),
    `/x/people/${VALUE}`,
    'GET /x/people/:email',
  ],
  [
    'a value that cannot be decoded',
    (app) => app.use('/people/:email', routerWith('/me')),
    '/people/canary%/me',
    'GET',
  ],
  ['no route', () => undefined, `/people/${VALUE}`, 'GET'],
  [
    'no route in a nested router',
    (app) => app.use('/people/:email', express.Router()),
    `/people/${VALUE}/x`,
    'GET',
  ],
  [
    'a handler that is no route',
    (app) => app.use('/people/:email', answer),
    `/people/${VALUE}/x`,
    'GET /people/:email',
  ],
  ['a handler of all paths', (app) => app.use(answer), `/people/${VALUE}`, 'GET'],
  ['HEAD', (app) => app.get('/me', answer), '/me', 'HEAD /me', 'HEAD'],
  [
    'OPTIONS of a handler',
    (app) => app.use('/auth', routerWith('/me')),
    '/auth/me',
    'OPTIONS /auth/me',
    'OPTIONS',
  ],
  [
    'OPTIONS that the router answers',
    (app) => app.get('/people/:email', answer),
    `/people/${VALUE}`,
    'OPTIONS',
    'OPTIONS',
  ],
]

describe('the name of an operation', () => {
  it.each(cases)('consists only of patterns: %s', async (_what, build, path, name, method = 'GET') => {
    expect(await namesOf(build, [[method, path]])).toEqual([name])
  })

  it('has the pattern of the mount path if a guard refused before a route was reached', async () => {
    const guard = domainProtect({ policies }) as RequestHandler
    const build = (app: Express): void => void app.use('/auth', guard).use('/people/:email', guard)
    expect(
      await namesOf(build, [
        ['POST', '/auth/login'],
        ['POST', `/people/${VALUE}`],
      ]),
    ).toEqual(['POST /auth', 'POST /people/:email'])
  })

  it('has no unknown HTTP method, such as one from an override header', async () => {
    const build = (app: Express): void =>
      void app
        .use((req, _res, next) => {
          req.method = String(req.query['method'])
          next()
        })
        .use(routerWith('/me'))
    const names = await namesOf(build, [
      ['GET', `/me?method=${VALUE}`],
      ['GET', '/me?method=patch'],
    ])
    expect(names).toEqual(['UNKNOWN /me', 'PATCH /me'])
    expect(METHODS).toContain('PATCH')
  })

  it('is found in finite time even if a router mounts itself', async () => {
    const router = express.Router()
    router.use('/x', router)
    router.get('/me', answer)
    expect(await namesOf((app) => app.use(router), [['GET', '/x/x/x/me']])).toEqual(['GET /x/x/x/me'])
  })

  it('does not change `lastIndex` of a stateful expression', async () => {
    const expression = /\/me/g
    await namesOf((app) => app.use(expression, answer), [['GET', '/me']])
    expect(expression.lastIndex).toBe('/me'.length)
  })

  it('is the result of the `operation` option if there is one', async () => {
    const sink = memoryAuditSink()
    const audit = auditAccess({ policies, sink, operation: () => 'sign in' }) as RequestHandler
    await listening(express().use(audit, answer), async (origin) => {
      await fetch(origin, { headers: { 'x-app-id': APP } })
    })
    expect(sink.events()).toMatchObject([{ operation: 'sign in' }])
  })
})

/** A part of a path: how it is written, and what a request has there. */
interface Part {
  readonly pattern: string | RegExp | string[]
  readonly sent: string
  /** Its part of the name; `undefined` if it is not checked. */
  readonly name: string | undefined
}

const values = fc.constantFrom(
  CANARY,
  'Canary%40example.org',
  'canary%2Fme',
  'canary.me',
  '~canary',
  'CANARY-1',
)
const staticParts = fc.constantFrom('/a', '/orders', '/v1.0', '/a/b-c').map((text) => ({
  pattern: text,
  sent: text,
  name: text,
}))
const parameters = fc
  .tuple(fc.constantFrom('/:id', '/people/:email', '/:orders'), values)
  .map(([pattern, value]) => ({
    pattern,
    sent: pattern.replace(/:\w+/, value),
    name: pattern,
  }))
const expressions = fc
  .tuple(fc.constantFrom(/^\/e\/[^/]+/, /^\/f\/([^/]+)/i), values)
  .map(([pattern, value]) => ({
    pattern,
    sent: `/${pattern.source[3]}/${value}`,
    name: pattern.source,
  }))
const lists = fc.tuple(parameters, staticParts, fc.boolean()).map(([one, other, swapped]) => ({
  pattern: [swapped ? '/never' : other.pattern, one.pattern],
  sent: one.sent,
  name: one.name,
}))
/** An optional parameter, several in one segment, and a wildcard. */
const optionals = fc.tuple(fc.boolean(), values).map(([isSent, value]) => ({
  pattern: optional,
  sent: isSent ? `/x/${value}` : '/x',
  name: optional,
}))
const pairs = fc.tuple(values, values).map(([from, to]) => ({
  pattern: '/p/:from~:to',
  sent: `/p/${from.replaceAll('~', '')}~${to.replaceAll('~', '')}`,
  // Express 4 keeps only the regular expression of a mount, which cannot be converted back.
  name: isExpress4 ? undefined : '/p/:from~:to',
}))
const rests = fc.tuple(values, values).map(([one, two]) => ({
  pattern: `/r/${rest}`,
  sent: `/r/${one}/${two}`,
  name: `/r/${rest}`,
}))
const part: fc.Arbitrary<Part> = fc.oneof(staticParts, parameters, expressions, lists, optionals, pairs)

const container = fc.constantFrom('router', 'merging router', 'application', 'function')
const ending = fc.constantFrom('answer', 'error', 'next', 'middleware', 'leaves', 'route')

/** Other parts of a router: a parameter callback, and middleware that changes the target or the parameters. */
const helper = fc.constantFrom(
  'nothing',
  'param',
  'param that fails',
  'a changed parameter',
  'a changed target',
)

/** Other layers of the same stack, some of which also match. */
const noise = fc.array(fc.tuple(part, fc.constantFrom('use', 'all', 'router')), { maxLength: 3 })

const tree = fc.record({
  mounts: fc.array(fc.record({ part, container, noise, helper }), { maxLength: 3 }),
  // Nothing can be mounted after a wildcard.
  leaf: fc.oneof({ arbitrary: part, weight: 5 }, { arbitrary: rests, weight: 1 }),
  ending,
})

type Tree = typeof tree extends fc.Arbitrary<infer T> ? T : never

function handlerOf(how: string): RequestHandler {
  if (how === 'error') return fail
  if (how === 'next') return (_req, _res, next) => next()
  if (how === 'leaves') return (_req, _res, next) => next('router')
  return answer
}

function grow(into: Router, { mounts: [mount, ...inner], leaf, ending: how }: Tree): void {
  if (mount === undefined) {
    if (how === 'middleware') into.use(leaf.pattern as string, answer)
    else if (how === 'route')
      into
        .route(leaf.pattern as string)
        .post(fail)
        .get(answer)
    // A regular expression without an end anchor also matches a route.
    else into.get(leaf.pattern as string, handlerOf(how))
    return
  }
  for (const [other, kind] of mount.noise) {
    const path = other.pattern as string
    if (kind === 'use') into.use(path, (_req, _res, next) => next())
    else if (kind === 'router') into.use(path, express.Router().get('/never/:id', answer))
    else into.post(path, answer)
  }
  const next: Router =
    mount.container === 'application'
      ? express()
      : express.Router({ mergeParams: mount.container === 'merging router' })
  if ('set' in next) (next as Express).set('env', 'test')
  help(next, mount.helper)
  grow(next, { mounts: inner, leaf, ending: how })
  const path = mount.part.pattern as string
  if (mount.container === 'function') into.use(path, (req, res, done) => next(req, res, done))
  else into.use(path, next)
}

function help(router: Router, how: Tree['mounts'][number]['helper']): void {
  if (how === 'param') for (const name of NAMES) router.param(name, (_req, _res, next) => next())
  if (how === 'param that fails')
    for (const name of NAMES) router.param(name, (_req, _res, next, value) => next(new Error(String(value))))
  if (how === 'a changed parameter')
    router.use((req, _res, next) => {
      req.params = { ...req.params, id: CANARY }
      next()
    })
  if (how === 'a changed target')
    router.use((req, _res, next) => {
      req.url += `${req.url.includes('?') ? '&' : '?'}more=${CANARY}`
      next()
    })
}

const NAMES = ['id', 'email', 'orders', 'name', 'from', 'to']

/**
 * Whether the path of mounts can be found. Express hides a mounted application behind a function. It can be found only
 * through its parents, which an application on a router does not have.
 */
function isKnowable(mounts: Tree['mounts']): boolean {
  let hidden = false
  let onApplication = true
  for (const mount of mounts) {
    const isApplication = mount.container === 'application'
    if (mount.container === 'function' || (isApplication && !onApplication && hidden)) return false
    if (isApplication && onApplication) hidden = true
    onApplication = isApplication
  }
  return true
}

describe('the name of an operation with any structure of routers', () => {
  it('never contains the value of a parameter, and is complete for answers of routers and applications', async () => {
    await fc.assert(
      fc.asyncProperty(tree, async (shape) => {
        const { mounts, leaf, ending: how } = shape
        const sent = [...mounts.map((mount) => mount.part.sent), leaf.sent].join('')
        const [name = ''] = await namesOf((app) => grow(app, shape), [['GET', `${sent}?email=${VALUE}`]])
        expect(name.toLowerCase()).not.toContain(CANARY)
        const isAnswered = how === 'answer' || how === 'route'
        if (!isAnswered || !isKnowable(mounts)) return
        if (mounts.some((mount) => mount.helper === 'param that fails')) return
        // An optional part matches what follows it.
        if (mounts.some((mount) => mount.part.sent === '/x')) return
        if ([...mounts.map((mount) => mount.part), leaf].some((each) => each.name === undefined)) return
        expect(name).toBe(`GET ${mounts.map((mount) => mount.part.name).join('')}${leaf.name}`)
      }),
      { numRuns: 300 },
    )
  })
})
