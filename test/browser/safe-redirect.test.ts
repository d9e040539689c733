import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import type { Browser, Page } from 'playwright-core'
import {
  bodyParsers,
  createPolicySource,
  memoryStore,
  returnUrlGuard,
  safeRedirect,
  type PolicyInput,
} from 'portcullis'
import { launchChromium } from '../support/chromium.ts'

const PAGE = '<!doctype html><title>page</title><link rel="icon" href="data:,">'

let browser: Browser
let page: Page
/** A server of the app, and one that is not in the policy. Both record their requests. */
let app: Recorder
let foreign: Recorder
let gateway: { readonly origin: string; readonly server: Server }

interface Recorder {
  readonly origin: string
  readonly server: Server
  readonly requests: IncomingMessage[]
}

async function listen(listener: RequestListener): Promise<{ origin: string; server: Server }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

async function startRecorder(): Promise<Recorder> {
  const requests: IncomingMessage[] = []
  const { origin, server } = await listen((req, res) => {
    requests.push(req)
    res.setHeader('content-type', 'text/html')
    req.resume().on('end', () => res.end(PAGE))
  })
  return { origin, server, requests }
}

async function startGateway(): Promise<{ origin: string; server: Server }> {
  const gate = express()
  const started = await listen(gate)
  const urls = [`${app.origin}/callback/`, `${started.origin}/settings/`]
  const policy: PolicyInput = { appId: 'app', returnUrlGuard: { mode: 'enforce', urls } }
  const guard = returnUrlGuard({
    policies: createPolicySource({ store: memoryStore([{ policy }]) }),
    appId: () => 'app',
    returnUrl: [{ query: 'return_url' }, { body: 'return_url' }],
    relativeTo: started.origin,
    reserved: ['code'],
  })
  const finish: RequestHandler = (req, res) => safeRedirect(res, req, { parameters: { code: 'the code' } })
  gate.all('/go', bodyParsers() as RequestHandler, guard as RequestHandler, finish)
  // A handler that redirects to the given URL without a check.
  gate.get('/naive', (req, res) => {
    const target = new URLSearchParams(req.originalUrl.split('?')[1]).get('return_url') ?? ''
    res.writeHead(303, { location: target }).end()
  })
  gate.get('/form', (_req, res) => {
    const field = `<input name="return_url" value="${app.origin}/callback/done"><input name="password" value="secret">`
    res.send(`${PAGE}<form method="post" action="/go">${field}<button>Send</button></form>`)
  })
  gate.get('/settings/*path', (_req, res) => void res.send(PAGE))
  return started
}

beforeAll(async () => {
  ;[browser, app, foreign] = await Promise.all([launchChromium(), startRecorder(), startRecorder()])
  gateway = await startGateway()
  page = await browser.newPage()
})

afterAll(async () => {
  await browser.close()
  for (const { server } of [app, foreign, gateway]) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

beforeEach(async () => {
  await page.goto('about:blank')
  app.requests.length = foreign.requests.length = 0
})

const go = (returnUrl: string, route = 'go') =>
  page.goto(`${gateway.origin}/${route}?return_url=${encodeURIComponent(returnUrl)}`)

describe('in a browser, safeRedirect', () => {
  const paths = [
    '/callback/done',
    '/callback/%C3%A9%20x;y=1/@a:b',
    '/callback/?a=%20+%2B&b[]=1|2^&c=//x/..',
    '/callback/?',
    '/callback//x',
  ]
  it.each(paths)('leads to %s, byte for byte, with our answer', async (path) => {
    const query = path.endsWith('?') ? '' : path.includes('?') ? '&' : '?'
    expect((await go(app.origin + path))?.status()).toBe(200)
    expect(app.requests.map(({ url }) => url)).toEqual([`${path}${query}code=the%20code`])
  })

  it('does not resend a form, and sends no referrer', async () => {
    await page.goto(`${gateway.origin}/form?connection=secret`)
    await page.getByRole('button').click()
    await page.waitForURL(`${app.origin}/callback/**`)
    expect(
      app.requests.map(({ method, headers }) => [method, headers['content-length'], headers.referer]),
    ).toEqual([['GET', undefined, undefined]])
  })

  it('leads to a path on this server if that is enabled', async () => {
    await go('/settings/mail?x=1')
    expect(page.url()).toBe(`${gateway.origin}/settings/mail?x=1&code=the%20code`)
  })
})

describe('in a browser, a URL that leads elsewhere', () => {
  const host = (): string => foreign.origin.slice('http://'.length)
  const tricks: [string, () => string][] = [
    ['two slashes', () => `//${host()}/settings/`],
    ['three slashes', () => `///${host()}/settings/`],
    ['a backslash', () => `/\\${host()}/settings/`],
    ['two backslashes', () => `\\\\${host()}/settings/`],
    ['no slash', () => `http:${host()}/settings/`],
    ['user information', () => `${app.origin}@${host()}/callback/`],
    ['a dot segment and two slashes', () => `/.//${host()}/settings/`],
  ]
  it.each(tricks)('is refused: %s', async (_what, url) => {
    const response = await go(url())
    expect(response?.status()).toBe(400)
    expect(await response?.text()).not.toContain(host())
    expect(new URL(page.url()).origin).toBe(gateway.origin)
    expect(foreign.requests).toEqual([])
  })

  it.each(tricks.slice(0, 4).concat(tricks.slice(5, 6)))('really leads elsewhere: %s', async (_what, url) => {
    await go(url(), 'naive')
    expect(foreign.requests).toHaveLength(1)
  })
})
