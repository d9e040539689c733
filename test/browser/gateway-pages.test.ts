import { spawn } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals'
import { createDemoApps, DEMO_APPS } from '../../example-server/demo-apps.ts'
import type { Holding } from '../../example-server/homes.ts'
import { regionsPage } from '../../example-server/pages/regions-page.ts'
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
import { compiled } from '../support/compiled.ts'
import { until } from '../support/redis.ts'
import { watchPages } from '../support/watched-pages.ts'

let browser: Browser
let server: ExampleServer
/** A foreign site. */
let stranger: Server
let foreign: string
let demoSecret: string
let context: BrowserContext
let page: Page

beforeAll(async () => {
  browser = await launchChromium()
  server = await startExampleServer({ demoApps: DEMO_APPS, consoleToken: 'c'.repeat(32) })
  demoSecret = (await createDemoApps(server.store, [server.url])).secret ?? ''
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
  await page.getByLabel('Code from the email').fill(codeFor(server.mails, email))
  await page.getByRole('button', { name: 'Confirm' }).click()
  await page.getByRole('heading', { name: /^Share with/ }).waitFor()
}

it('the demo app signs a person in, and shows what was shared', async () => {
  const wrong = await watchPages(context)
  await page.goto(`${server.url}/demo`)
  await page.getByRole('button', { name: /Sign in/ }).click()
  await makeAccount('demo@example.org')
  await page.getByRole('button', { name: 'Share and continue' }).click()
  await page.getByText('demo@example.org').waitFor()
  expect(await page.getByRole('main').textContent()).toContain('Ada')
  const names = await page.locator('#me dt').allTextContents()
  expect(names).toContain('First name')
  expect(names.filter((name) => !/^[A-Z]/.test(name))).toEqual([])
  // The script has moved the focus here for screen readers. It is not an input field.
  const outline = "getComputedStyle(document.querySelector('#state:focus')).outlineStyle"
  expect(await page.evaluate(outline)).toBe('none')
  expect(page.url()).not.toContain('code')
  expect(wrong).toEqual([])
})

it('the command that plays the server app ends on its own page', async () => {
  const command = spawn(process.execPath, [compiled('example-server/connect.ts'), server.url], {
    env: { PATH: process.env['PATH'], DEMO_SECRET: demoSecret },
  })
  let said = ''
  command.stdout.on('data', (chunk: Buffer) => void (said += chunk.toString()))
  command.stderr.on('data', (chunk: Buffer) => void (said += chunk.toString()))
  const ended = new Promise((resolve) => command.once('close', resolve))
  await until('it shows the link', async () => said.includes('Waiting for the sign-in'))
  await page.goto(/^ {2}(http\S+)$/m.exec(said)?.[1] ?? '')
  await makeAccount('server-app@example.org')
  await page.getByRole('button', { name: 'Share and continue' }).click()
  await page.getByRole('heading', { name: 'You are signed in' }).waitFor()
  expect(await page.title()).toBe('You are signed in – Demo server app')
  const [link] = await page.getByRole('link').all()
  expect(await link?.getAttribute('href')).toBe(`${server.url}/account`)
  expect(await ended).toBe(0)
  expect(said).toContain(`user: { firstname: '${ADA.firstname}' }`)
})

it('the front page leads to the console and to the regions, which say how to see more', async () => {
  await page.goto(`${server.url}/`)
  await page.getByRole('link', { name: /^Regions/ }).click()
  expect(await page.getByRole('main').textContent()).toContain('npm run demo:regions')
  expect(await page.getByRole('table').count()).toBe(0)
  await page.goto(`${server.url}/`)
  await page.getByRole('link', { name: /^Console/ }).click()
  await page.waitForURL(/\/console\//)
  await page.getByRole('button', { name: /sign in/i }).waitFor()
})

it.each([1280, 320])('the regions page breaks no word at a width of %i', async (width) => {
  await page.setViewportSize({ width, height: 800 })
  await page.goto(`${server.url}/regions`)
  const holdings = ['london', 'frankfurt', 'dallas'].map((location): Holding => ({
    location,
    jurisdiction: location === 'dallas' ? 'world' : 'europe',
    condition: 'away',
    people: ['europe_0123456789abcdef'],
    keys: 1,
    emails: 1,
  }))
  const main = /<main[^]*<\/main>/.exec(regionsPage(holdings))?.[0] ?? ''
  await page.evaluate(`document.querySelector('main').outerHTML = ${JSON.stringify(main)}`)
  const broken =
    await page.evaluate(`[...document.querySelectorAll('th, td:not(:has(code))')].flatMap((cell) => {
    const text = cell.firstChild
    return [...text.data.matchAll(/\\S+/g)].filter(({ 0: word, index }) => {
      const range = document.createRange()
      range.setStart(text, index)
      range.setEnd(text, index + word.length)
      return range.getClientRects().length > 1
    }).map(([word]) => word)
  })`)
  expect(broken).toEqual([])
  expect(await page.getByRole('cell', { name: 'unreachable' }).count()).toBe(3)
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
})

it('the session is a secure cookie even over plain http on loopback, and a new one after the sign-in', async () => {
  await page.goto(await gateway())
  const [before, ...others] = await context.cookies(server.url)
  expect(others).toEqual([])
  expect(before).toMatchObject({ secure: true, httpOnly: true, sameSite: 'Lax', path: '/' })
  await makeAccount('cookie@example.org')
  const after = (await context.cookies(server.url)).find(({ name }) => name === before?.name)
  expect(after?.value).not.toBe(before?.value)
})

it('the pages work without JavaScript, with the keyboard and on a phone, and show problems at their fields', async () => {
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
  // Chromium reports this after it has discarded the answer.
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
