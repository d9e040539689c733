import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import {
  appIdFrom,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryStore,
  type ManagedPolicyStore,
  type PolicyInput,
} from 'portcullis'
import { launchChromium } from '../support/chromium.ts'

const servers: Server[] = []

async function listen(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** A request as received by the gateway, before any guard. */
interface Seen {
  readonly method: string
  readonly origin: string | undefined
  readonly site: string | string[] | undefined
  readonly cookie: string | undefined
}

const seen: Seen[] = []
/** Requests that reached a handler. */
const reached: string[] = []
/** `code case` of every refusal. */
const refusals: string[] = []

let browser: Browser
let store: ManagedPolicyStore
let gateway: string
/**
 * Pages of these origins: same-site with the gateway (another port), cross-site, a subdomain of a wildcard, and
 * foreign.
 */
let near: string
let far: string
let shop: string
let stranger: string
/** A server that allows every origin, and redirects to the given URL. */
let detour: string
let context: BrowserContext
let page: Page

const EMPTY_PAGE: RequestListener = (_req, res) => {
  res.setHeader('content-type', 'text/html')
  res.end('<!doctype html><title>page</title><link rel="icon" href="data:,">')
}

const policyOf = (appId: string, settings: Partial<PolicyInput['domainProtect']> = {}): PolicyInput => ({
  appId,
  domainProtect: {
    mode: 'enforce',
    domains: [near, far, `http://*.shop.example:${new URL(far).port}`],
    ...settings,
  },
})

function gatewayApp(): express.Express {
  const policies = createPolicySource({ store })
  const guards = (appId: ReturnType<typeof appIdFrom>): RequestHandler[] => [
    domainProtect({ policies, appId }) as RequestHandler,
  ]
  const app = express().disable('x-powered-by')
  app.get('/favicon.ico', (_req, res) => void res.status(404).end())
  app.use((req, res, next) => {
    const { origin, cookie, 'sec-fetch-site': site } = req.headers
    seen.push({ method: req.method, origin, cookie, site })
    res.on('finish', () => {
      for (const { effect, code, evidence } of req.portcullis?.decisions ?? [])
        if (effect === 'deny') refusals.push(`${code} ${String(evidence['case'])}`)
    })
    next()
  })
  app.get('/page', EMPTY_PAGE as RequestHandler)
  app.get('/login', (_req, res) => void res.cookie('session', '7', { sameSite: 'lax' }).end())
  app.use('/header', guards(appIdFrom({ header: 'x-app-id' })))
  app.use('/query', guards(appIdFrom({ query: 'app' })))
  app.use('/closed', ipWhitelist({ policies, appId: appIdFrom({ query: 'app' }) }) as RequestHandler)
  app.use((req, res) => {
    reached.push(req.method)
    if (req.query['to'] === 'here') res.redirect(307, `/query/x?app=${String(req.query['app'])}`)
    else
      res
        .set({ etag: '"1"', 'cache-control': 'no-store' })
        .json({ app: req.portcullis.appId, cookie: req.headers.cookie ?? null })
  })
  return app
}

beforeAll(async () => {
  browser = await launchChromium('--host-resolver-rules=MAP *.example 127.0.0.1')
  const [nearPort, farPort, strangerPort] = [
    await listen(EMPTY_PAGE),
    await listen(EMPTY_PAGE),
    await listen(EMPTY_PAGE),
  ]
  near = `http://127.0.0.1:${nearPort}`
  far = `http://localhost:${farPort}`
  shop = `http://eu.shop.example:${farPort}`
  stranger = `http://evil.example:${strangerPort}`
  detour = `http://127.0.0.1:${await listen((req, res) => {
    const to = new URL(req.url ?? '/', 'http://x').searchParams.get('to') ?? ''
    const { origin = '*', 'access-control-request-headers': asked = '' } = req.headers
    res.setHeader('access-control-allow-origin', origin)
    res.setHeader('access-control-allow-headers', asked)
    res.setHeader('access-control-allow-methods', 'PUT')
    if (req.method !== 'OPTIONS') res.setHeader('location', to)
    res.statusCode = req.method === 'OPTIONS' ? 204 : 307
    res.end()
  })}`
  store = memoryStore([
    { policy: policyOf('plain') },
    { policy: policyOf('narrow', { methods: ['GET', 'PUT'], headers: ['x-app-id', 'x-listed'] }) },
    { policy: policyOf('cookies', { credentials: true, exposedHeaders: ['etag'] }) },
    { policy: policyOf('opaque', { domains: ['null'] }) },
    { policy: { ...policyOf('closed'), ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24'] } } },
  ])
  gateway = `http://127.0.0.1:${await listen(gatewayApp())}`
  await store.write({ policy: policyOf('own', { domains: [gateway] }) }, 0)
})

afterAll(async () => {
  await browser.close()
  for (const server of servers) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

beforeEach(async () => {
  context = await browser.newContext()
  page = await context.newPage()
})

afterEach(() => context.close())

async function open(url: string): Promise<void> {
  await page.goto(url)
  for (const log of [seen, reached, refusals]) log.length = 0
}

/** Options of `fetch` that can be sent to the browser as JSON. */
interface Init {
  method?: string
  mode?: 'no-cors'
  credentials?: 'include' | 'omit'
  headers?: Record<string, string>
  body?: string
}

interface Answer {
  readonly status?: number
  readonly type?: string
  readonly body?: Record<string, unknown>
  readonly headers?: Record<string, string>
  /** The error that a page gets for a response that it may not read. */
  readonly failed?: string
}

/** Calls the gateway from a script of the page. */
function call(path: string, init: Init = {}, base: string = gateway): Promise<Answer> {
  return page.evaluate(
    async ({ url, options }) => {
      try {
        const response = await fetch(url, options)
        const text = await response.text()
        return {
          status: response.status,
          type: response.type,
          headers: Object.fromEntries(response.headers),
          body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
        }
      } catch (error) {
        return { failed: (error as Error).message }
      }
    },
    { url: base + path, options: init },
  )
}

const UNREADABLE: Answer = { failed: 'Failed to fetch' }
const methods = (): string[] => seen.map(({ method }) => method)
const sites = (): unknown[] => [...new Set(seen.map(({ site }) => site))]

describe('a page of an allowed origin', () => {
  const places: [string, () => string, string][] = [
    ['of another port', () => near, 'same-site'],
    ['of another site', () => far, 'cross-site'],
    ['of a subdomain of a wildcard', () => shop, 'cross-site'],
  ]
  for (const [where, origin, site] of places) {
    it(`${where} reads the answers to simple requests, without a preflight`, async () => {
      await open(origin())
      expect(await call('/query?app=plain')).toMatchObject({ status: 200, body: { app: 'plain' } })
      expect(await call('/query?app=plain', { method: 'POST', body: 'text' })).toMatchObject({ status: 200 })
      expect(methods()).toEqual(['GET', 'POST'])
      expect(seen[0]).toMatchObject({ origin: origin(), site })
      expect(reached).toEqual(['GET', 'POST'])
    })

    it(`${where} reads the answers to preflighted requests, with the app in a header or in the query`, async () => {
      await open(origin())
      const init = {
        method: 'PUT',
        headers: { 'x-app-id': 'plain', 'content-type': 'application/json' },
        body: '{}',
      }
      expect(await call('/header', init)).toMatchObject({ status: 200, body: { app: 'plain' } })
      expect(await call('/query?app=plain', init)).toMatchObject({ status: 200, body: { app: 'plain' } })
      expect(methods()).toEqual(['OPTIONS', 'PUT', 'OPTIONS', 'PUT'])
      expect(reached).toEqual(['PUT', 'PUT'])
    })
  }

  it('can use only the methods and headers of the policy', async () => {
    await open(near)
    const put = (name: string) => call('/query?app=narrow', { method: 'PUT', headers: { [name]: '1' } })
    expect(await put('x-listed')).toMatchObject({ status: 200 })
    expect(reached).toEqual(['PUT'])
    expect(await put('x-unlisted')).toEqual(UNREADABLE)
    expect(await call('/query?app=narrow', { method: 'DELETE' })).toEqual(UNREADABLE)
    expect(methods()).toEqual(['OPTIONS', 'PUT', 'OPTIONS', 'OPTIONS'])
    // It needs no preflight, so the server itself must refuse it. The page may read the reason.
    expect(await call('/query?app=narrow', { method: 'POST', body: 'text' })).toMatchObject({
      status: 403,
      body: { code: 'METHOD_NOT_ALLOWED' },
    })
    expect(reached).toEqual(['PUT'])
  })

  it('cannot use the methods of another app: the request is judged by its own', async () => {
    await open(near)
    const init = { method: 'DELETE', headers: { 'x-app-id': 'narrow' } }
    // The preflight names no app, and other apps of this origin allow it.
    expect(await call('/header', init)).toMatchObject({ status: 403, body: { code: 'METHOD_NOT_ALLOWED' } })
    expect([methods(), reached]).toEqual([['OPTIONS', 'DELETE'], []])
  })

  it('reads why another guard refused, and the request id', async () => {
    await open(far)
    const answer = await call('/closed?app=closed')
    expect(answer).toMatchObject({ status: 403, body: { code: 'ADDRESS_NOT_ALLOWED' } })
    expect(answer.headers?.['x-request-id']).toBe(answer.body?.['instance'])
    expect(reached).toEqual([])
  })

  it('reads which headers the policy exposes', async () => {
    await open(near)
    expect((await call('/query?app=cookies')).headers?.['etag']).toBe('"1"')
    expect((await call('/query?app=plain')).headers?.['etag']).toBeUndefined()
  })

  it('sends a form, which needs no CORS', async () => {
    await open(near)
    await submitForm('/query?app=plain')
    expect([methods(), reached]).toEqual([['POST'], ['POST']])
    expect(seen[0]).toMatchObject({ origin: near, site: 'same-site' })
  })

  it('can send its form again by a reload', async () => {
    await open(near)
    await submitForm('/query?app=plain')
    await page.reload()
    expect(reached).toEqual(['POST', 'POST'])
    expect(seen.map(({ origin, site }) => [origin, site])).toEqual([
      [near, 'same-site'],
      [near, 'same-site'],
    ])
  })
})

/** Submits a form and waits for the resulting page. */
async function submitForm(path: string, referrer = 'strict-origin-when-cross-origin'): Promise<void> {
  const action = `${gateway}${path}`
  await page.setContent(
    `<meta name="referrer" content="${referrer}"><form method="post" action="${action}"><button>Send</button></form>`,
  )
  await Promise.all([page.waitForURL(action), page.getByRole('button', { name: 'Send' }).click()])
}

describe('credentials', () => {
  beforeEach(() => page.goto(`${gateway}/login`))

  it('are allowed only if the policy says so; without them nothing changes', async () => {
    await open(near)
    const include: Init = { credentials: 'include' }
    expect((await call('/query?app=cookies', include)).body).toEqual({ app: 'cookies', cookie: 'session=7' })
    expect((await call('/query?app=cookies', { credentials: 'omit' })).body?.['cookie']).toBeNull()
    expect(await call('/query?app=plain', include)).toEqual(UNREADABLE)
    expect((await call('/query?app=plain')).body?.['cookie']).toBeNull()
  })

  it('are not sent with a preflighted request if the policy does not allow them', async () => {
    await open(near)
    const init: Init = { credentials: 'include', method: 'PUT' }
    expect(await call('/query?app=plain', init)).toEqual(UNREADABLE)
    expect([methods(), reached]).toEqual([['OPTIONS'], []])
    expect((await call('/query?app=cookies', init)).body).toEqual({ app: 'cookies', cookie: 'session=7' })
    expect(seen.map(({ cookie }) => cookie)).toEqual([undefined, undefined, 'session=7'])
  })

  it('of another app of the origin reveal nothing to a page', async () => {
    await open(near)
    const init: Init = { credentials: 'include', headers: { 'x-app-id': 'plain' } }
    expect(await call('/header', init)).toEqual(UNREADABLE)
  })

  it('are not sent across sites: SameSite is the cookie’s own protection', async () => {
    await open(far)
    expect((await call('/query?app=cookies', { credentials: 'include' })).body?.['cookie']).toBeNull()
  })
})

describe('a page of a foreign origin', () => {
  beforeEach(() => open(stranger))

  const attempts: [string, string, Init, Answer][] = [
    ['a simple GET', '/query?app=plain', {}, UNREADABLE],
    ['a simple POST', '/query?app=plain', { method: 'POST', body: 'text' }, UNREADABLE],
    ['a preflighted request', '/query?app=plain', { method: 'PUT' }, UNREADABLE],
    [
      'a preflighted request that names its app in a header',
      '/header',
      { headers: { 'x-app-id': 'plain' } },
      UNREADABLE,
    ],
    ['X-Origin', '/query?app=plain', { headers: { 'x-origin': 'http://localhost' } }, UNREADABLE],
    ['a request with credentials', '/query?app=cookies', { credentials: 'include' }, UNREADABLE],
    ['a request that another guard refuses too', '/closed?app=closed', {}, UNREADABLE],
  ]
  for (const [what, path, init, outcome] of attempts) {
    it(`reads nothing, and reaches no handler: ${what}`, async () => {
      expect(await call(path, init)).toEqual(outcome)
      expect(reached).toEqual([])
      expect(seen).toHaveLength(1)
      expect(refusals).toHaveLength(1)
    })
  }

  it('reaches no handler with no-cors, which shows it no response anyway', async () => {
    for (const init of [{ method: 'POST', body: 'text' }, {}] as Init[])
      await call('/query?app=plain', { ...init, mode: 'no-cors' })
    expect(methods()).toEqual(['POST', 'GET'])
    expect(reached).toEqual([])
    expect(refusals).toEqual(['ORIGIN_NOT_ALLOWED browser', 'ORIGIN_REQUIRED browser without origin'])
  })

  it('reaches no handler by a form, an image, a script, a beacon or a link', async () => {
    const url = `${gateway}/query?app=plain`
    await page.evaluate(`Promise.all([
      ...['img', 'script'].map((name) => {
        const element = document.createElement(name)
        element.src = '${url}'
        document.body.append(element)
        return new Promise((resolve) => element.addEventListener('error', resolve))
      }),
      navigator.sendBeacon('${url}', 'text'),
    ])`)
    await submitForm('/query?app=plain')
    await page.goto(`${stranger}/`)
    await page.setContent(`<a href="${url}">Go</a>`)
    await Promise.all([page.waitForURL(url), page.getByRole('link', { name: 'Go' }).click()])
    expect(methods().toSorted()).toEqual(['GET', 'GET', 'GET', 'POST', 'POST'])
    expect(reached).toEqual([])
  })
})

describe('a redirect', () => {
  it('within the gateway keeps the origin', async () => {
    await open(near)
    expect(await call('/query?app=plain&to=here')).toMatchObject({ status: 200, body: { app: 'plain' } })
    expect(seen.map(({ origin }) => origin)).toEqual([near, near])
  })

  it('through another origin makes it opaque, which is refused', async () => {
    await open(near)
    const to = `/?to=${encodeURIComponent(`${gateway}/query?app=plain`)}`
    for (const init of [{}, { method: 'POST', body: 'text' }, { method: 'PUT' }] as Init[])
      expect(await call(to, init, detour)).toEqual(UNREADABLE)
    expect(seen.map(({ method, origin }) => `${method} ${origin}`)).toEqual([
      'GET null',
      'POST null',
      'OPTIONS null',
    ])
    expect([reached, [...new Set(refusals)]]).toEqual([[], ['ORIGIN_NOT_ALLOWED opaque']])
  })

  it('back to the own origin through another is opaque too', async () => {
    await open(`${gateway}/page`)
    const to = `/?to=${encodeURIComponent(`${gateway}/query?app=own`)}`
    expect(await call(to, { method: 'POST', body: 'text' }, detour)).toEqual(UNREADABLE)
    expect(seen.map(({ origin, site }) => [origin, site])).toEqual([['null', 'same-site']])
    expect(reached).toEqual([])
  })
})

describe('an opaque origin', () => {
  /** Runs a script in a frame, and returns its message to the parent. */
  async function inFrame(app: string, attribute: 'srcdoc' | 'src', sandbox: boolean): Promise<unknown> {
    const url = `${gateway}/query?app=${app}`
    const script = `fetch('${url}', { method: 'POST', body: 'text' }).then(() => 'read', () => 'refused').then((text) => parent.postMessage(text, '*'))`
    const html = `<script>${script}</script>`
    const content = attribute === 'src' ? `data:text/html,${encodeURIComponent(html)}` : html
    return page.evaluate(`new Promise((resolve) => {
      addEventListener('message', ({ data }) => resolve(data))
      const frame = document.createElement('iframe')
      if (${sandbox}) frame.setAttribute('sandbox', 'allow-scripts')
      frame.setAttribute('${attribute}', ${JSON.stringify(content).replaceAll('</', '<\\/')})
      document.body.append(frame)
    })`)
  }

  const frames: [string, 'srcdoc' | 'src', boolean][] = [
    ['a sandboxed frame', 'srcdoc', true],
    ['a data URL', 'src', false],
  ]
  for (const [what, attribute, sandbox] of frames) {
    it(`of ${what} in a page of ours is refused, unless the policy contains null`, async () => {
      await open(near)
      expect(await inFrame('plain', attribute, sandbox)).toBe('refused')
      expect([seen[0]?.origin, reached, refusals]).toEqual(['null', [], ['ORIGIN_NOT_ALLOWED opaque']])
      expect(await inFrame('opaque', attribute, sandbox)).toBe('read')
      expect(reached).toEqual(['POST'])
    })
  }

  it('of a frame without a sandbox is that of its page', async () => {
    await open(near)
    expect(await inFrame('plain', 'srcdoc', false)).toBe('read')
    expect(seen[0]?.origin).toBe(near)
  })
})

describe('a preflight that Chromium remembers', () => {
  it('has no effect after the domain is removed: the request itself is refused', async () => {
    const settings = { maxAge: 600 }
    const [first, second, third] = [
      policyOf('cached', settings),
      policyOf('cached', { ...settings, domains: [far] }),
      policyOf('cached', { ...settings, methods: ['GET'] }),
    ]
    await store.write({ policy: first }, 0)
    await open(near)
    const put = () => call('/query?app=cached', { method: 'PUT' })
    expect(await put()).toMatchObject({ status: 200 })
    expect(await put()).toMatchObject({ status: 200 })
    expect(methods()).toEqual(['OPTIONS', 'PUT', 'PUT'])
    await store.write({ policy: second }, 1)
    expect(await put()).toEqual(UNREADABLE)
    expect(methods()).toEqual(['OPTIONS', 'PUT', 'PUT', 'PUT'])
    expect([reached, refusals]).toEqual([['PUT', 'PUT'], ['ORIGIN_NOT_ALLOWED browser']])
    await store.write({ policy: third }, 2)
    expect(await put()).toMatchObject({ status: 403, body: { code: 'METHOD_NOT_ALLOWED' } })
    expect(methods()).toEqual(['OPTIONS', 'PUT', 'PUT', 'PUT', 'PUT'])
    expect(reached).toHaveLength(2)
  })

  it('is sent again every time with maxAge 0', async () => {
    await store.write({ policy: policyOf('uncached', { maxAge: 0 }) }, 0)
    await open(near)
    for (const _ of [1, 2]) await call('/query?app=uncached', { method: 'PUT' })
    expect(methods()).toEqual(['OPTIONS', 'PUT', 'OPTIONS', 'PUT'])
  })
})

describe("the gateway's own page", () => {
  it('is admitted if its origin is a domain of the policy: GET without Origin, everything else with it', async () => {
    await open(`${gateway}/page`)
    for (const method of ['GET', 'POST', 'DELETE'])
      expect(await call('/query?app=own', { method })).toMatchObject({ status: 200, type: 'basic' })
    expect(seen.map(({ method, origin }) => [method, origin])).toEqual([
      ['GET', undefined],
      ['POST', gateway],
      ['DELETE', gateway],
    ])
    expect(sites()).toEqual(['same-origin'])
  })

  it('is refused otherwise', async () => {
    await open(`${gateway}/page`)
    expect(await call('/query?app=plain')).toMatchObject({ status: 403, body: { code: 'ORIGIN_REQUIRED' } })
    expect(await call('/query?app=plain', { method: 'POST' })).toMatchObject({
      body: { code: 'ORIGIN_NOT_ALLOWED' },
    })
    expect(reached).toEqual([])
  })

  it('sends its form with an opaque origin under no-referrer, and is refused: use another referrer policy', async () => {
    await open(`${gateway}/page`)
    await submitForm('/query?app=own', 'no-referrer')
    expect(seen.map(({ origin, site }) => [origin, site])).toEqual([['null', 'same-origin']])
    expect([reached, refusals]).toEqual([[], ['ORIGIN_NOT_ALLOWED opaque']])
  })

  it('cannot be opened from the address bar: a navigation has no origin', async () => {
    await open(`${gateway}/page`)
    await page.goto(`${gateway}/query?app=own`)
    expect(refusals).toEqual(['ORIGIN_REQUIRED navigation'])
    expect(reached).toEqual([])
  })
})
