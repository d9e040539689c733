import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStore } from 'portcullis'
import { axeFindings } from '../support/axe.ts'
import { launchChromium } from '../support/chromium.ts'
import {
  ALL_RIGHTS,
  APP_DOCUMENT,
  SECRET,
  startConsole,
  tokenFor,
  type ConsoleServer,
} from '../support/console.ts'
import { takePictures } from '../support/screenshots.ts'
import { watchPages } from '../support/watched-pages.ts'

let browser: Browser
let server: ConsoleServer
let context: BrowserContext
let page: Page
/** Errors and warnings that no page may cause. */
let wrong: string[]

/** An app that only pages call. */
const PAGES = {
  appId: 'pages',
  name: 'Pages',
  serverOnly: { mode: 'off' },
  ipWhitelist: { mode: 'off' },
  domainProtect: { mode: 'enforce', domains: ['https://shop.example'] },
  returnUrlGuard: { mode: 'enforce', urls: ['https://shop.example/callback/'] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
} as const

beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(() => browser?.close())
afterEach(async () => {
  await context?.close()
  await server?.close()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

async function open(place: string): Promise<void> {
  server = await startConsole({ store: memoryStore([APP_DOCUMENT, { policy: PAGES }]) })
  context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, reducedMotion: 'reduce' })
  wrong = await watchPages(context)
  page = await context.newPage()
  await page.goto(server.url)
  await page.getByLabel('Token').fill(tokenFor(...ALL_RIGHTS))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Apps' }).waitFor()
  await page.goto(`${server.url}/#/${place}`)
}

/** Pastes a text with its line breaks, like a person. */
async function paste(text: string): Promise<void> {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  const field = page.getByLabel('URL or curl command')
  await field.selectText()
  await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`)
  await page.keyboard.press('Control+v')
}

const row = (name: string) => page.getByRole('row', { name: new RegExp(`^${name}`) })
const signed = () => page.getByRole('checkbox', { name: /^Signed/ })
const check = (): Promise<void> => page.getByRole('button', { name: 'Check this request' }).click()

async function end(name: string): Promise<void> {
  await takePictures(page, name, { colorScheme: 'light', width: 1280 })
  expect([await axeFindings(page), wrong]).toEqual([[], []])
}

describe('a trial request', () => {
  it('is signed only if it says so: an unsigned curl command is judged without a signature', async () => {
    await open('apps/shop/try')
    await page.getByLabel('Client address').fill('10.1.2.3')
    expect(await signed().isChecked()).toBe(false)
    await signed().check()
    await page
      .getByLabel('URL or curl command')
      .fill(`curl -X POST 'https://gateway.example/a' -H 'x-origin: https://shop.example' -d '{}'`)
    expect(await signed().isChecked()).toBe(false)
    await check()
    await row('Server only').getByText('SIGNATURE_REQUIRED').waitFor()
    await page.getByRole('heading', { name: 'The request is refused' }).waitFor()
    await end('try-it-unsigned')
  })

  it('with a signature in its headers is judged with this signature', async () => {
    await open('apps/shop/try')
    await paste(
      `POST /a HTTP/1.1\r\nHost: gateway.example\r\nSignature-Input: sig=("@method");created=1;keyid="shop-1"\r\nSignature: sig=:${SECRET}:\r\n\r\n{}`,
    )
    expect(await page.getByLabel('URL or curl command').inputValue()).toBe('https://gateway.example/a')
    expect(await page.getByLabel('Body', { exact: true }).inputValue()).toBe('{}')
    expect([await signed().isChecked(), await signed().isDisabled()]).toEqual([true, true])
    await check()
    await row('Server only').getByText('SIGNATURE_INVALID').waitFor()
    await row('Address allow list').getByText('Fill in “Client address”').waitFor()
    await end('try-it-signed')
  })

  it('lists the guards for which it lacks data, and what to fill in', async () => {
    await open('apps/pages/try')
    await page
      .getByLabel('URL or curl command')
      .fill(`curl 'https://gateway.example/a' -H 'origin: https://shop.example'`)
    await check()
    await page.getByRole('heading', { name: 'The request passes the guards that were checked' }).waitFor()
    await row('Return URLs').getByText('not checked').waitFor()
    await row('Region pinning').getByText('Fill in “Server location” and “Country of citizenship”').waitFor()
    await page.getByLabel('Server location').fill('london')
    await page.getByLabel('Country of citizenship').fill('FR')
    await page.getByLabel('Return URL').fill('https://shop.example/callback/')
    await check()
    await page.getByRole('heading', { name: 'The request passes', exact: true }).waitFor()
    await end('try-it-checked')
  })

  it.each([
    ['JSON', `curl -d '{"return_url":"https://evil.example/"}' https://gateway.example/a`],
    [
      'form fields',
      `curl \\\n  -d 'a=1&return_url=https%3A%2F%2Fevil.example%2F' \\\n  https://gateway.example/a`,
    ],
    ['the query', `curl 'https://gateway.example/a?return_url=https://evil.example/'`],
  ])('includes its return URL, in %s', async (_where, command) => {
    await open('apps/pages/try')
    await paste(`${command} -H 'origin: https://shop.example'`)
    expect(await page.getByLabel('Return URL').inputValue()).toBe('https://evil.example/')
    await check()
    await row('Return URLs').getByText('RETURN_URL_NOT_ALLOWED').waitFor()
    await end('try-it-return-url')
  })

  it('has examples in its fields that cannot be mistaken for values', async () => {
    await open('apps/shop/try')
    await page.getByLabel('Client address').waitFor()
    const examples = await page.evaluate<string[]>(
      `[...document.querySelectorAll('[placeholder]')].map(({ placeholder }) => placeholder)`,
    )
    expect(examples.filter((example) => !example.startsWith('e.g. '))).toEqual([])
    expect(wrong).toEqual([])
  })
})

describe('an app that only pages call', () => {
  it('is not led to protections that would refuse its visitors', async () => {
    await open('apps/pages')
    await page.getByText('Every protection for an app in the browser is enforced').waitFor()
    await page
      .getByText('for apps whose servers send the requests: Server only, Address allow list')
      .waitFor()
    await page.getByText('The score leaves out their 40 points').waitFor()
    await page.getByText('The API keys of this app, and its six protections').waitFor()
    expect(await page.getByText(/^Next:/).count()).toBe(0)
    expect(await page.getByText("Create a key for the app's servers").count()).toBe(0)
    await page.getByText('No ranges. Nothing is refused while this protection is off').waitFor()
    await end('app-of-pages')
    const score = async (): Promise<string> =>
      (await page.locator('.score').first().innerText()).replaceAll(/\s+/g, ' ')
    expect(await score()).toBe('60 of 60')
    await page.getByRole('link', { name: 'Apps' }).first().click()
    await page.getByRole('row', { name: /Pages/ }).getByText('of 60').waitFor()
    await end('apps-of-pages')
  })

  it('is led to keys again if its requests must be signed', async () => {
    await open('apps/pages')
    await page
      .getByRole('article', { name: /^Server only/ })
      .getByRole('radio', { name: 'Report' })
      .check()
    await page.getByText("Create a key for the app's servers").waitFor()
    expect(wrong).toEqual([])
  })
})

describe('what the console says', () => {
  it('names the entry that covers a pasted one, and marks doubtful entries', async () => {
    await open('apps/shop')
    const addresses = page.getByRole('article', { name: /^Address allow list/ })
    await addresses.getByLabel('Add ranges').fill('8.8.0.0/16 8.8.8.0/24 0.0.0.0/1 10.0.0.0/8')
    await addresses.getByRole('button', { name: 'Add' }).first().click()
    await addresses.getByRole('button', { name: 'Add 2 ranges (1 doubtful)' }).waitFor()
    const verdicts = await addresses.getByRole('list', { name: 'Verdicts' }).innerText()
    expect(verdicts).toContain('8.8.0.0/16 contains the whole range')
    expect(verdicts).toContain('means the same as 10.0.0.0/8')
    expect(verdicts).not.toContain('`')
    await end('paste-doubtful')
  })

  it('shows names as code in every reason', async () => {
    await open('apps/pages/try')
    await page
      .getByLabel('URL or curl command')
      .fill(`curl 'https://gateway.example/a' -H 'origin: https://evil.example'`)
    await check()
    await row('Domain protection').getByText('ORIGIN_NOT_ALLOWED').waitFor()
    expect(
      await row('Domain protection')
        .locator('code', { hasText: /^Origin$/ })
        .count(),
    ).toBe(1)
    expect(await page.getByText('`').count()).toBe(0)
    await fetch(new URL('/auth', server.url))
    await page.goto(`${server.url}/#/apps/shop/requests`)
    await page.getByRole('heading', { name: 'Reasons for refusal' }).waitFor()
    expect(await page.getByText('`').count()).toBe(0)
    await page.getByRole('table', { name: '' }).getByRole('link').first().click()
    await page.getByRole('heading', { name: 'Request', exact: true }).waitFor()
    await page.getByText('judged as: a caller that names no origin').waitFor()
    await page.getByText('The request was recorded. Mode enforce.').waitFor()
    await page.getByText('The record keeps the route instead of the full path').waitFor()
    expect(await page.getByText('`').count()).toBe(0)
    await end('request-words')
  })

  it('explains an unknown page', async () => {
    await open('regions')
    await page.getByText('This console does not show regions').waitFor()
    expect(await page.getByRole('link', { name: 'Regions' }).count()).toBe(0)
    await end('no-regions')
    await page.goto(`${server.url}/#/people`)
    await page.getByText('This console does not create access reports').waitFor()
    expect(await page.getByRole('button', { name: 'Create report' }).count()).toBe(0)
    await page.goto(`${server.url}/#/nonsense`)
    await page.getByRole('heading', { name: 'Page not found' }).waitFor()
    // The title changes after the page.
    await page.waitForFunction(`document.title === 'Page not found · Portcullis console'`)
    expect([await axeFindings(page), wrong]).toEqual([[], []])
  })

  it('shows no decisions for a console action', async () => {
    await open('apps/shop')
    const saved = page.waitForResponse((answer) => answer.url().endsWith('/draft/edits'))
    const addresses = page.getByRole('article', { name: /^Address allow list/ })
    await addresses.getByRole('radio', { name: 'Report' }).check()
    const { 'x-request-id': requestId } = (await saved).headers()
    await page.goto(`${server.url}/#/requests/${requestId}`)
    await page.getByRole('heading', { name: 'console POST /apps/:appId/draft/edits' }).waitFor()
    await page.getByText('No guard judged this request').waitFor()
    expect(await page.getByRole('table').count()).toBe(0)
    expect(await page.getByText('The record keeps the route').count()).toBe(0)
    await end('request-console')
  })
})
