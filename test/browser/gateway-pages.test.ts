import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals'
import { createDemoApps, DEMO_APPS } from '../../example-server/demo-apps.ts'
import { launchChromium } from '../support/chromium.ts'
import {
  ADA,
  codeFor,
  CONNECT,
  json,
  shopServer,
  startExampleServer,
  type ExampleServer,
} from '../support/example-server.ts'
import { watchPages } from '../support/watched-pages.ts'

let browser: Browser
let server: ExampleServer
/** A site of somebody else. */
let stranger: Server
let foreign: string
let context: BrowserContext
let page: Page

beforeAll(async () => {
  browser = await launchChromium()
  server = await startExampleServer({ demoApps: DEMO_APPS })
  stranger = createServer(
    (_req, res) => void res.setHeader('content-type', 'text/html').end('<h1>Prizes</h1>'),
  )
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
  foreign = `http://localhost:${(stranger.address() as AddressInfo).port}/`
})
afterAll(async () => {
  await browser.close()
  stranger.closeAllConnections()
  await new Promise((resolve) => stranger.close(resolve))
  await server.close()
})
beforeEach(async () => {
  context = await browser.newContext()
  page = await context.newPage()
})
afterEach(() => context.close())

async function gateway(): Promise<string> {
  const response = await shopServer().send(`${server.url}/auth/v2/connect`, json(CONNECT))
  return ((await response.json()) as { gateway: string }).gateway
}

async function makeAccount(email: string): Promise<void> {
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByLabel('Email address').fill(email)
  await page.getByLabel('Password').fill(ADA.password)
  await page.getByLabel('First name').fill(ADA.firstname)
  await page.getByLabel('Last name').fill(ADA.surname)
  await page.getByLabel('Citizenship').selectOption(ADA.country)
  await page.getByRole('button', { name: 'Create an account' }).click()
  await page.getByLabel('Code from the mail').fill(codeFor(server.mails, email))
  await page.getByRole('button', { name: 'Confirm' }).click()
  await page.getByRole('heading', { name: /^Share with/ }).waitFor()
}

it('the demo app signs a person in, and shows what was shared', async () => {
  await createDemoApps(server.store, [server.url])
  const wrong = await watchPages(context)
  await page.goto(`${server.url}/demo`)
  await page.getByRole('button', { name: /Sign in/ }).click()
  await makeAccount('demo@example.org')
  await page.getByRole('button', { name: 'Share and continue' }).click()
  await page.getByText('demo@example.org').waitFor()
  expect(await page.getByRole('main').textContent()).toContain('Ada')
  expect(page.url()).not.toContain('code')
  expect(wrong).toEqual([])
})

it('the session is a secure cookie over plain http on loopback too, and another one after the sign-in', async () => {
  await page.goto(await gateway())
  const [before, ...others] = await context.cookies(server.url)
  expect(others).toEqual([])
  expect(before).toMatchObject({ secure: true, httpOnly: true, sameSite: 'Lax', path: '/' })
  await makeAccount('cookie@example.org')
  const after = (await context.cookies(server.url)).find(({ name }) => name === before?.name)
  expect(after?.value).not.toBe(before?.value)
})

it('the pages work without JavaScript, by keyboard, on a phone, and say what is wrong where it is', async () => {
  await context.close()
  context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 390, height: 800 } })
  page = await context.newPage()
  await page.goto(await gateway())
  await page.getByLabel('Email address').focus()
  await page.locator('input:focus').waitFor()
  await page.keyboard.type('nobody@example.org')
  await page.keyboard.press('Tab')
  await page.keyboard.type('a wrong password')
  await page.keyboard.press('Enter')
  const alert = page.getByRole('alert')
  expect(await alert.textContent()).toContain('is wrong')
  expect(await page.getByLabel('Password').getAttribute('aria-describedby')).toBe(
    await alert.getAttribute('id'),
  )
  expect(await page.getByLabel('Password').inputValue()).toBe('')
  expect(await page.getByLabel('Email address').inputValue()).toBe('nobody@example.org')
  expect((await page.locator('html').boundingBox())?.width).toBeLessThanOrEqual(390)
})

it('a foreign site cannot frame the sign-in', async () => {
  const url = await gateway()
  await page.goto(foreign)
  const refused = page.waitForEvent('console', (line) => /frame-ancestors|X-Frame-Options/i.test(line.text()))
  await page.evaluate(
    `document.body.append(Object.assign(document.createElement('iframe'), { src: '${url}' }))`,
  )
  // Chromium says so when it has thrown the answer away.
  await refused
  expect(page.frames().map((frame) => frame.url())).not.toContain(url)
  expect(await page.frames()[1]?.locator('form').count()).toBe(0)
})

it('a foreign site cannot send a form with the cookies of the person, even if it knew the token', async () => {
  await page.goto(await gateway())
  await makeAccount('csrf@example.org')
  const action = `${page.url()}/cancel`
  const csrf = await page.locator('input[name=csrf]').first().inputValue()
  await page.goto(foreign)
  await page.evaluate(
    `(() => {
      const form = Object.assign(document.createElement('form'), { method: 'post', action: '${action}' })
      form.append(Object.assign(document.createElement('input'), { name: 'csrf', value: '${csrf}' }))
      document.body.append(form)
      form.submit()
    })()`,
  )
  await page.waitForURL(action)
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Please try again')
})
