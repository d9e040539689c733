import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from '@jest/globals'
import type { AuditEvent } from 'portcullis/audit'
import { launchChromium } from '../support/chromium.ts'
import { DEMO_APPS } from '../../example-server/demo-apps.ts'
import { codeFor, startExampleServer, type ExampleServer } from '../support/example-server.ts'
import { watchPages } from '../support/watched-pages.ts'

/** Serves an empty page of a browser app. Each server is a separate origin. */
async function startApp(): Promise<{ origin: string; server: Server }> {
  const server = createServer((_req, res) => {
    res.setHeader('content-type', 'text/html')
    res.end('<!doctype html><title>app</title><link rel="icon" href="data:,">')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

let browser: Browser
let gateway: ExampleServer
let ours: { origin: string; server: Server }
let foreign: { origin: string; server: Server }
let context: BrowserContext
let page: Page

beforeAll(async () => {
  ;[browser, gateway, ours, foreign] = await Promise.all([
    launchChromium(),
    startExampleServer({ demoApps: DEMO_APPS }),
    startApp(),
    startApp(),
  ])
  const policy = {
    appId: 'browser-app',
    name: 'A browser app',
    serverOnly: { mode: 'off' },
    ipWhitelist: { mode: 'off' },
    domainProtect: { mode: 'enforce', domains: [ours.origin] },
    returnUrlGuard: { mode: 'enforce', urls: [`${ours.origin}/callback/`] },
    regionPin: { mode: 'enforce' },
    auditAccess: { mode: 'enforce' },
  }
  await gateway.store.write({ policy }, 0)
})

afterAll(async () => {
  await browser.close()
  await gateway.close()
  for (const { server } of [ours, foreign]) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

beforeEach(async () => {
  context = await browser.newContext()
  page = await context.newPage()
  gateway.sink.clear()
})
afterEach(() => context.close())

interface Answer {
  status?: number
  body?: Record<string, unknown>
  /** The error that a page gets for a response that it may not read. */
  failed?: string
}

/** Calls the gateway from a script of the page. */
function call(
  path: string,
  options: { body?: unknown; bearer?: string; appId?: string; simple?: boolean } = {},
): Promise<Answer> {
  return page.evaluate(
    async ({ url, body, bearer, appId, simple }) => {
      const headers: Record<string, string> = { 'x-app-id': appId }
      if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`
      if (body !== undefined) headers['content-type'] = 'application/json'
      try {
        const response = await fetch(url, {
          method: body === undefined ? 'GET' : 'POST',
          ...(simple ? { mode: 'no-cors' as const } : { headers }),
          ...(body !== undefined && { body: JSON.stringify(body) }),
        })
        return { status: response.status, body: (await response.json()) as Record<string, unknown> }
      } catch (error) {
        return { failed: (error as Error).message }
      }
    },
    { url: gateway.url + path, appId: 'browser-app', simple: false, ...options },
  )
}

const VERIFIER = 'v'.repeat(43)

const connect = (changes: object = {}): Promise<Answer> =>
  call('/auth/v2/connect', {
    body: {
      request_id: 'r-1',
      scope: 'firstname! email country',
      return_url: `${ours.origin}/callback/done`,
      code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'),
      ...changes,
    },
  })

const decisions = (): (string | undefined)[] =>
  gateway.sink
    .events()
    .flatMap((event: AuditEvent) => (event.kind === 'operation' ? [event.decisions.at(-1)?.code] : []))

async function signUp(country: string): Promise<void> {
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByLabel('Email address').fill(`eve-${country}@example.org`)
  await page.getByLabel('Password').fill('down the rabbit-hole')
  await page.getByLabel('First name').fill('Eve')
  await page.getByLabel('Last name').fill('Moneypenny')
  await page.getByLabel('Citizenship').selectOption(country)
  await page.getByRole('button', { name: 'Create an account' }).click()
}

async function confirm(country: string): Promise<void> {
  await page.getByLabel('Code from the email').fill(codeFor(gateway.mails, `eve-${country}@example.org`))
  await page.getByRole('button', { name: 'Confirm' }).click()
}

describe('a browser app on another origin', () => {
  it('signs a person in: connect, sign up, consent, back with a code, token, me', async () => {
    await page.goto(`${ours.origin}/`)
    const asked = await connect()
    expect(asked.status).toBe(200)
    await page.goto(String(asked.body?.['gateway']))
    await signUp('FR')
    await confirm('FR')
    expect(await page.getByRole('checkbox', { name: /First name/ }).isDisabled()).toBe(true)
    await page.getByRole('checkbox', { name: /Email address/ }).check()
    await page.getByRole('button', { name: 'Share and continue' }).click()
    await page.waitForURL(`${ours.origin}/callback/**`)
    const answer = new URL(page.url()).searchParams
    expect(answer.get('_ukey1[result]')).toBe('authorized')
    const exchanged = await call('/auth/v2/token', {
      body: {
        request_id: 'r-1',
        connect_id: answer.get('_ukey1[connect_id]'),
        auth_code: answer.get('_ukey1[code]'),
        code_verifier: VERIFIER,
      },
    })
    expect(exchanged.status).toBe(200)
    gateway.sink.clear()
    const me = await call('/auth/v2/me', { bearer: String(exchanged.body?.['access_token']) })
    expect(me).toEqual({
      status: 200,
      body: { result: 200, user: { firstname: 'Eve', email: 'eve-FR@example.org' } },
    })
    const fields = gateway.sink.events().flatMap((event) => (event.kind === 'field' ? [event.field] : []))
    expect(fields).toEqual(['firstname', 'email'])
  })

  it('gets the person back without a code if they cancel', async () => {
    await page.goto(`${ours.origin}/`)
    const { body } = await connect()
    await page.goto(String(body?.['gateway']))
    await page.getByRole('button', { name: /Cancel/ }).click()
    await page.waitForURL(`${ours.origin}/callback/**`)
    expect(new URL(page.url()).searchParams.get('_ukey1[result]')).toBe('canceled')
    expect(page.url()).not.toContain('code')
  })

  it('can read the reason of a refusal', async () => {
    await page.goto(`${ours.origin}/`)
    expect(await connect({ return_url: `${foreign.origin}/callback/` })).toMatchObject({
      status: 400,
      body: { code: 'RETURN_URL_NOT_ALLOWED' },
    })
    expect(await call('/auth/v2/me', { bearer: 'x'.repeat(43) })).toMatchObject({
      status: 401,
      body: { code: 'TOKEN_INVALID' },
    })
    expect(decisions()).toContain('RETURN_URL_NOT_ALLOWED')
  })

  it('cannot use the id of a server app', async () => {
    await page.goto(`${ours.origin}/`)
    await gateway.change(
      { ...POLICY_OF_SHOP, appId: 'shop' },
      { domainProtect: { mode: 'enforce', domains: [ours.origin] } },
    )
    const answer = await call('/auth/v2/connect', { appId: 'shop', body: {} })
    expect(answer).toMatchObject({ status: 403, body: { code: 'BROWSER_NOT_ALLOWED' } })
  })

  it('gets no data of a person whose data must stay elsewhere', async () => {
    await page.goto(`${ours.origin}/`)
    const { body } = await connect()
    await page.goto(String(body?.['gateway']))
    await signUp('US')
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Not on this server')
    expect(decisions()).toContain('REGION_MISDIRECTED')
  })
})

const POLICY_OF_SHOP = {
  name: 'Shop',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'off' },
  auditAccess: { mode: 'enforce' },
}

describe('a page of a foreign origin', () => {
  beforeEach(() => page.goto(`${foreign.origin}/`))

  it('gets no answer to a preflighted request, which does not reach the handler', async () => {
    expect(await connect()).toEqual({ failed: 'Failed to fetch' })
    expect(decisions()).toEqual(['ORIGIN_NOT_ALLOWED'])
  })

  it('gets no answer to a simple request either, which is refused by the server and not only by the browser', async () => {
    expect(await call('/auth/v2/connect', { body: {}, simple: true })).toEqual({
      failed: 'Failed to fetch',
    })
    expect(decisions()).toEqual(['APP_UNIDENTIFIED'])
  })

  it('cannot frame the pages of the gateway', async () => {
    await page.goto(`${gateway.url}/`)
    const own = await page.title()
    /** The title of the page that a frame shows after loading. */
    const framed = async (url: string): Promise<string | undefined> => {
      await page.setContent(`<iframe src="${url}"></iframe>`, { waitUntil: 'load' })
      return page.frames()[1]?.title()
    }
    await page.goto(`${foreign.origin}/`)
    // This way also detects a page that may be framed.
    expect(await framed(`${ours.origin}/`)).toBe('app')
    expect(own).not.toBe('')
    expect(await framed(`${gateway.url}/`)).not.toBe(own)
  })
})

describe('an opaque origin', () => {
  it('of a sandboxed frame of our own page is refused', async () => {
    await page.goto(`${ours.origin}/`)
    const script = `fetch('${gateway.url}/auth/v2/me', { headers: { 'x-app-id': 'browser-app' } }).then(() => 'read', () => 'refused').then((text) => parent.postMessage(text, '*'))`
    const outcome = await page.evaluate(`new Promise((resolve) => {
      addEventListener('message', ({ data }) => resolve(data))
      const frame = document.createElement('iframe')
      frame.setAttribute('sandbox', 'allow-scripts')
      frame.srcdoc = ${JSON.stringify(`<script>${script}</script>`).replaceAll('</', '<\\/')}
      document.body.append(frame)
    })`)
    expect(outcome).toBe('refused')
    expect(decisions()).toEqual(['ORIGIN_NOT_ALLOWED'])
  })
})

describe('the pages', () => {
  it('cause no errors or warnings, and load nothing from elsewhere', async () => {
    const wrong = await watchPages(context)
    const requested = new Set<string>()
    page.on('request', (request) => requested.add(new URL(request.url()).origin))
    for (const path of ['/', '/demo']) await page.goto(gateway.url + path)
    expect(wrong).toEqual([])
    expect([...requested].filter((origin) => origin !== 'null')).toEqual([gateway.url])
  })
})
