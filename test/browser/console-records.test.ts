import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { ConsoleRight } from 'portcullis/console'
import { axeFindings } from '../support/axe.ts'
import { launchChromium } from '../support/chromium.ts'
import { ALL_RIGHTS, tokenFor, type ConsoleServer } from '../support/console.ts'
import { startRecordedConsole, type RecordedConsole } from '../support/recorded-console.ts'
import { takePictures } from '../support/screenshots.ts'
import { watchPages } from '../support/watched-pages.ts'

let browser: Browser
let recorded: RecordedConsole
let server: ConsoleServer
let context: BrowserContext
let page: Page
/** Errors and warnings that no page may cause. */
let wrong: string[]

beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(() => browser?.close())
afterEach(async () => {
  await context?.close()
  await recorded?.close()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

async function open(
  width: number,
  colorScheme: 'light' | 'dark',
  refusals: readonly number[] = [],
): Promise<void> {
  recorded = await startRecordedConsole()
  ;({ server } = recorded)
  context = await browser.newContext({
    viewport: { width, height: 800 },
    colorScheme,
    reducedMotion: 'reduce',
  })
  wrong = await watchPages(context, { refusals })
  page = await context.newPage()
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(server.url).origin) wrong.push(`request: ${request.url()}`)
  })
}

async function signIn(...rights: readonly ConsoleRight[]): Promise<void> {
  await page.goto(server.url)
  await page.getByLabel('Token').fill(tokenFor(...rights))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Apps' }).waitFor()
}

const button = (name: string | RegExp) => page.getByRole('button', { name })
const says = (text: string | RegExp): Promise<void> => page.getByText(text).first().waitFor()

describe('recorded requests, and actions based on them', () => {
  it.each([
    ['light', 1280],
    ['dark', 360],
  ] as const)('in a %s scheme of %i pixels, by the mouse', async (colorScheme, width) => {
    await open(width, colorScheme)
    const found: string[] = []
    const look = async (name: string): Promise<void> => {
      await takePictures(page, name, { colorScheme, width })
      for (const finding of await axeFindings(page)) found.push(`${name}: ${finding}`)
      const wide = await page.evaluate<number>('document.documentElement.scrollWidth')
      if (wide > width) found.push(`${name}: ${wide} pixels wide`)
    }
    for (const path of ['/people/1', '/people/2']) await recorded.call('old', path)
    await recorded.call('new', '/people/1')
    await signIn(...ALL_RIGHTS)

    await page.goto(`${server.url}/#/apps/shop`)
    await says('Who signs with which key')
    await says(/^2 requests, the last/)
    await button('Show callers of old').click()
    await page.getByRole('region', { name: 'Callers of old' }).getByText('127.0.0.1').waitFor()
    await look('key-uses')

    const { body } = await (await server.signIn()).ask('GET', 'apps/shop/requests?limit=1')
    await page.goto(`${server.url}/#/requests/${body.rows[0].requestId}`)
    await page.getByRole('heading', { name: 'Judged again' }).waitFor()
    await says('differs in network: 1 of the 8 bits of the entry are the same')
    await button('Add to draft: 127.0.0.1').click()
    await says('127.0.0.1 is in the draft')
    await page.getByRole('columnheader', { name: 'With the draft' }).waitFor()
    expect(await button(/^Add to draft/).count()).toBe(0)
    await page.getByRole('list', { name: 'The call' }).getByText('127.0.0.1').waitFor()
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await button('Copy as curl').click()
    await says('curl command copied.')
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(
      `curl -X 'GET' 'https://YOUR-HOST/people/:id' -H 'x-app-id: shop'`,
    )
    await look('judged-again')
    expect((await recorded.store.read('shop'))?.revision).toBe(1)

    await page.getByRole('link', { name: 'People' }).click()
    await page.keyboard.press('Control+k')
    await page.getByLabel('App, list, request, person or key').fill('person-7')
    await page.getByRole('link', { name: 'Access report of person-7' }).click()
    expect(await page.getByLabel('Person', { exact: true }).inputValue()).toBe('person-7')
    expect(page.url()).not.toContain('person-7')
    await page.getByLabel('Purpose of the report').fill('asked by the person')
    await button('Create report').click()
    await says(/^\d accesses, as of/)
    await says('Apps that received data: shop.')
    await page.getByText('Person: person-7. Purpose of this report: asked by the person.').waitFor()
    await look('access-report')
    await page.emulateMedia({ media: 'print' })
    expect(await page.getByRole('button').count()).toBe(0)
    await page.emulateMedia({ media: 'screen' })

    await page.getByRole('link', { name: 'Regions' }).click()
    await says('Not available: dallas.')
    await look('regions')

    await page.goto(`${server.url}/#/apps/shop`)
    await page.getByText('Remove this app').click()
    await page.getByLabel('Type shop to confirm').fill('shpo')
    expect(await button('Remove app').isDisabled()).toBe(true)
    await page.getByLabel('Type shop to confirm').fill('shop')
    await look('remove-app')
    await button('Remove app').click()
    await says('shop is removed.')
    expect(await recorded.store.read('shop')).toBeUndefined()
    expect([found, wrong]).toEqual([[], []])
  })

  it('breaking the glass in the history requires a reason, also with the keyboard', async () => {
    // A rollback without a reason is refused with 400. The page then asks for one.
    await open(1280, 'light', [400])
    const { policy } = (await recorded.store.read('shop')) ?? {}
    await recorded.store.write(
      { policy: { ...(policy as object), appId: 'shop', ipWhitelist: { mode: 'off' } } },
      1,
    )
    await signIn('look', 'break-glass')
    await page.goto(`${server.url}/#/apps/shop/history`)
    await button('Roll back to revision 1').press('Enter')
    await page.getByRole('dialog', { name: 'Break the glass?' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
    expect((await recorded.store.read('shop'))?.revision).toBe(2)
    await button('Roll back to revision 1').press('Enter')
    await page.getByLabel('Reason, at least 20 characters').fill('The office cannot reach the shop.')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await says('Revision 3 is in force')
    await says('break glass: The office cannot reach the shop.')
    expect(wrong).toEqual([])
  })
})
