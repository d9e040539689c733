import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import {
  createPolicySource,
  domainProtect,
  memoryStore,
  regionPin,
  type DecisionContext,
  type PolicyInput,
} from 'portcullis'
import { generate } from 'selfsigned'
import { launchChromium } from '../support/chromium.ts'

// Tests what docs/guards/region-pin.md says about pages redirected to another location, in a real browser.

const NAMES = { dallas: 'dal.example.org', frankfurt: 'fra.example.org' } as const
type Place = keyof typeof NAMES

const servers = {} as Record<Place, { readonly origin: string; readonly server: Server }>
const saved: { readonly at: Place; readonly origin: string | undefined }[] = []
const refused: { readonly at: Place; readonly code: string; readonly origin: string | undefined }[] = []
let browser: Browser
let context: BrowserContext
let page: Page

beforeAll(async () => {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'example.org' }], {
    keyType: 'ec',
  })
  for (const place of Object.keys(NAMES) as Place[]) {
    const server = createServer({ key, cert })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    servers[place] = { origin: `https://${NAMES[place]}:${(server.address() as AddressInfo).port}`, server }
  }
  for (const place of Object.keys(NAMES) as Place[]) servers[place].server.on('request', application(place))
  browser = await launchChromium('--host-resolver-rules=MAP *.example.org 127.0.0.1')
  context = await browser.newContext({ ignoreHTTPSErrors: true })
})
afterAll(async () => {
  await browser.close()
  for (const { server } of Object.values(servers)) {
    server.close()
    server.closeAllConnections()
  }
})
beforeEach(async () => {
  saved.length = 0
  refused.length = 0
  page = await context.newPage()
})

/**
 * An application in which a European signs in at either location. Only `/elsewhere`, without personal data, is served
 * everywhere.
 */
function application(here: Place): RequestHandler {
  const domains = Object.values(servers).map(({ origin }) => origin)
  const policy: PolicyInput = {
    appId: 'app',
    regionPin: { mode: 'enforce', onMisdirected: 'redirect' },
    domainProtect: { mode: 'enforce', domains },
  }
  const shared = {
    policies: createPolicySource({ store: memoryStore([{ policy }]) }),
    appId: () => 'app',
    logger: () => {},
    onDecision: ({ effect, code }: { effect: string; code: string }, { req }: DecisionContext) => {
      if (effect === 'deny') refused.push({ at: here, code, origin: req.headers['origin'] })
    },
  }
  const pin = regionPin({
    ...shared,
    here,
    country: () => 'DE',
    bases: { frankfurt: servers.frankfurt.origin },
  }) as RequestHandler
  const app = express()
  const form: RequestHandler = (_req, res) =>
    void res.send(
      '<!doctype html><link rel="icon" href="data:,"><form method="post" action="/save"><button>Save</button></form>',
    )
  app.get('/elsewhere', form)
  app.get('/form', pin, form)
  app.post(
    '/save',
    pin,
    domainProtect({ ...shared, authority: servers[here].origin }) as RequestHandler,
    (req, res) => {
      saved.push({ at: here, origin: req.headers.origin })
      res.send('<!doctype html><link rel="icon" href="data:,"><p>saved</p>')
    },
  )
  return app
}

describe('a page that is requested at the wrong location', () => {
  it('is served at the right one, and its form is saved there, with the origin of the page', async () => {
    await page.goto(`${servers.dallas.origin}/form?x=1`)
    expect(page.url()).toBe(`${servers.frankfurt.origin}/form?x=1&portcullis-hop=1`)
    await Promise.all([page.waitForURL('**/save'), page.click('button')])
    expect(saved).toEqual([{ at: 'frankfurt', origin: servers.frankfurt.origin }])
    expect(await page.textContent('p')).toBe('saved')
  })
})

describe('a form that is sent to the wrong location', () => {
  it('arrives at the right one with `Origin: null`, and is refused there', async () => {
    await page.goto(`${servers.dallas.origin}/elsewhere`)
    await Promise.all([page.waitForURL('**/save*'), page.click('button')])
    expect(saved).toEqual([])
    expect(refused).toEqual([
      { at: 'dallas', code: 'REGION_MISDIRECTED', origin: servers.dallas.origin },
      { at: 'frankfurt', code: 'ORIGIN_NOT_ALLOWED', origin: 'null' },
    ])
  })
})

describe('a script on a page that calls the wrong location', () => {
  it('learns where to call instead of being redirected, so that it keeps its credentials', async () => {
    await page.goto(`${servers.dallas.origin}/elsewhere`)
    const answer = await page.evaluate(async () => {
      const response = await fetch('/save', { method: 'POST', headers: { authorization: 'Bearer x' } })
      const { base } = (await response.json()) as { base?: unknown }
      return { status: response.status, redirected: response.redirected, base }
    })
    expect(answer).toEqual({ status: 421, redirected: false, base: servers.frankfurt.origin })
    expect(saved).toEqual([])
  })
})
