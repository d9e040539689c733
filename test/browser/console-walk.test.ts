import { Redis } from 'ioredis'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStore, type ManagedPolicyStore } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { axeFindings } from '../support/axe.ts'
import { launchChromium } from '../support/chromium.ts'
import {
  APP,
  APP_DOCUMENT,
  startConsole,
  tokenFor,
  ALL_RIGHTS,
  type ConsoleServer,
} from '../support/console.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { takePictures } from '../support/screenshots.ts'
import { watchPages } from '../support/watched-pages.ts'

let browser: Browser
let redis: RedisServer
let client: Redis
let server: ConsoleServer
let context: BrowserContext
let page: Page
/** Errors and warnings that no page may cause. */
let wrong: string[]

beforeAll(async () => {
  ;[browser, redis] = await Promise.all([launchChromium(), startRedis()])
  client = new Redis(redis.url)
})
afterAll(async () => {
  await browser?.close()
  client?.disconnect()
  await redis?.stop()
})
afterEach(async () => {
  await context?.close()
  await server?.close()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

/** Writes an app to work with, one with a hostile name, and one with many entries. */
async function fill(store: ManagedPolicyStore): Promise<ManagedPolicyStore> {
  await store.write(APP_DOCUMENT, 0)
  await store.write(
    { policy: { ...APP, appId: 'hostile', name: `<img src=x onerror=alert(1)> ${'W'.repeat(160)}` } },
    0,
  )
  const ranges = Array.from({ length: 3_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`)
  await store.write(
    { policy: { ...APP, appId: 'large', name: 'Large', ipWhitelist: { mode: 'enforce', ranges } } },
    0,
  )
  return store
}

const STORES: Readonly<Record<string, () => ManagedPolicyStore>> = {
  memory: () => memoryStore(),
  Redis: () =>
    redisStore(client, {
      prefix: `walk:${Math.random()}:`,
      // The machine may be busy with other tests.
      commandTimeout: 10_000,
      vault: createVault({ keys: [{ id: 'root', key: Buffer.alloc(32, 1) }] }),
    }),
}

async function open(width: number, colorScheme: 'light' | 'dark', store: ManagedPolicyStore): Promise<void> {
  server = await startConsole({ store: await fill(store) })
  context = await browser.newContext({
    viewport: { width, height: 800 },
    colorScheme,
    reducedMotion: 'reduce',
  })
  wrong = await watchPages(context)
  page = await context.newPage()
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(server.url).origin) wrong.push(`request: ${request.url()}`)
  })
}

/**
 * Removes the console errors of Chromium for an expected refusal, which arrive with a delay. No other errors may occur.
 */
async function forgive(status: number): Promise<void> {
  const isOne = (what: string): boolean => what.includes(`status of ${status}`)
  for (let tries = 0; tries < 500 && !wrong.some(isOne); tries += 1) await page.waitForTimeout(20)
  if (!wrong.some(isOne)) throw new Error(`no ${status} was answered: ${wrong.join('; ')}`)
  wrong.splice(wrong.findIndex(isOne), 1)
}

const button = (name: string | RegExp) => page.getByRole('button', { name })
const card = (name: string) => page.getByRole('article', { name: new RegExp(`^${name}`) })
const says = (text: string | RegExp): Promise<void> => page.getByText(text).first().waitFor()

type Look = (name: string) => Promise<void>

async function signIn(): Promise<void> {
  await page.goto(server.url)
  await page.getByLabel('Token').fill(tokenFor(...ALL_RIGHTS))
  await button('Sign in').click()
  await page.getByRole('heading', { name: 'Apps' }).waitFor()
}

/** Visits every page and makes every change, with the mouse. */
async function walk(look: Look): Promise<void> {
  await page.goto(server.url)
  await page.getByLabel('Token').fill('a wrong token')
  await button('Sign in').click()
  await says('Sign-in refused: this token is not valid')
  await forgive(401)
  await look('sign-in')
  await signIn()
  await says('Shop')
  await look('apps')
  await page.getByLabel('Find an app by the start of its ID').fill('nobody')
  await says('No app ID starts with')
  await look('apps-none')
  await page.getByLabel('Find an app by the start of its ID').fill('')
  await button('New app').click()
  await page.getByLabel('ID', { exact: true }).fill('not an id')
  await button('Create app').click()
  await says('must be 1-128 characters')
  await forgive(422)
  await look('new-app')
  await page.getByLabel('ID', { exact: true }).fill('fresh')
  await page.getByLabel('Display name').fill('Fresh & new')
  await button('Create app').click()
  await page.getByRole('heading', { name: 'Fresh & new' }).waitFor()
  await says('No keys yet')
  await look('fresh-app')

  await page.getByRole('link', { name: 'Apps' }).first().click()
  await page.getByRole('link', { name: 'Shop', exact: true }).first().click()
  await page.getByRole('heading', { name: 'Shop' }).waitFor()
  await says('shop-1')
  await look('app')
  await walkProtections(look)
  await walkReview(look)
  await walkKeys(look)
  await walkRequests(look)
  await walkLists(look)
  await walkPalette(look)
  await look('hostile-name')
  await page.goto(`${server.url}/#/apps/large`)
  await says('Show more (2,950 left)')
  await page.getByPlaceholder('Filter 3,000 ranges').fill('10.11.1')
  await look('large-list')
  await page.goto(`${server.url}/#/apps/nowhere`)
  await says('there is no app with this id')
  await forgive(404)
  await look('no-app')
  await button('Sign out').click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
}

async function walkProtections(look: Look): Promise<void> {
  await card('Domain protection').getByRole('radio', { name: 'Enforce' }).check()
  await says('1 change in 1 section')
  const addresses = card('Address allow list')
  await addresses.getByLabel('Add ranges: type one or paste many').fill('203.0.113.7')
  await addresses.getByLabel('Add ranges: type one or paste many').press('Enter')
  await addresses.getByText('doubtful').first().waitFor()
  await addresses
    .getByLabel('Add ranges: type one or paste many')
    .fill('8.8.8.8, 8.8.4.4\n10.0.0.1/8\nnonsense 10.1.1.1')
  await addresses.getByRole('button', { name: 'Add' }).first().click()
  await says(/2 refused · .* already covered/)
  await look('paste')
  await button(/^Add the 2 valid ranges/).click()
  await says('2 changes in 2 sections')
  await button('Remove 8.8.4.4').click()
  await addresses.getByText('8.8.4.4').waitFor({ state: 'detached' })
  const servers = card('Server only')
  await servers.getByLabel('Signatures expire after (seconds)').fill('9999')
  await servers.getByLabel('Signatures expire after (seconds)').press('Tab')
  await says('serverOnly.maxAge')
  await servers.getByText('This value is not saved.').waitFor()
  await forgive(422)
  await look('refused-edit')
  await button('Close this message').click()
  await servers.getByLabel('Signatures expire after (seconds)').fill('3600')
  await servers.getByLabel('Signatures expire after (seconds)').press('Tab')
  await button('Use 300 for serverOnly.maxAge').click()
  await button('Use 300 for serverOnly.maxAge').waitFor({ state: 'detached' })
  await servers.getByLabel('Signatures expire after (seconds)').fill('120')
  await servers.getByLabel('Signatures expire after (seconds)').press('Tab')
  await says('3 changes in 3 sections')
  await card('Return URLs').getByLabel('Match this URL exactly').check()
  await card('Return URLs').getByLabel('Add return URLs').fill('https://shop.example/done?a=1')
  await card('Return URLs').getByLabel('Add return URLs').press('Enter')
  await button('Remove https://shop.example/done?a=1').waitFor()
  await card('Region pinning').getByRole('radio', { name: 'Report' }).check()
  await card('Region pinning').getByLabel('Requests that belong').selectOption('redirect')
  await says('6 changes in 5 sections')
  await page.getByRole('link', { name: 'Try it' }).click()
  await page
    .getByLabel('URL or curl command')
    .fill(`curl -X POST 'https://gateway.example/a' -H 'origin: https://evil.example'`)
  await page.getByLabel('Client address').fill('8.8.8.8')
  const headers = page.getByLabel('Headers, one per line')
  await headers.fill('origin: https://evil.example\nOrigin: https://shop.example')
  await button('Check this request').click()
  await says('Two lines have the name “origin”')
  await headers.fill('origin: https://evil.example')
  await button('Check this request').click()
  await page.getByRole('heading', { name: 'The request is refused, also with the draft' }).waitFor()
  await look('try-it')
  await page.getByLabel(/Why this request must be refused/).fill('pages of strangers stay out')
  await button('Add to draft').click()
  await says('A policy that breaks this expectation cannot be published')
}

async function walkReview(look: Look): Promise<void> {
  await page.getByRole('link', { name: 'Review' }).last().click()
  await page.getByRole('heading', { name: 'What changes' }).waitFor()
  await says('This admits some requests that were refused')
  await look('review')
  // Another person publishes meanwhile.
  const stored = await server.store.read('shop')
  await server.store.write({ policy: { ...(stored?.policy as object), name: 'Shop of Ada' } }, 1, {
    author: 'bob',
  })
  await page.getByLabel('Reason (kept in the history)').fill('the office has moved')
  await button('Publish').click()
  await page.getByRole('heading', { name: 'Someone else has published since' }).waitFor()
  await forgive(412)
  await look('meanwhile')
  await button('Merge both').click()
  await says('The draft is now based on the revision in force')
  await page.getByLabel('Reason (kept in the history)').fill('the office has moved')
  await button('Publish').click()
  await says('Revision 3 is in force')
  await look('published')
  await button('Undo').click()
  await says('Undone. Revision 4 restores revision 2')
  await page.getByRole('link', { name: 'History' }).click()
  await page.getByRole('heading', { name: 'Revision 4' }).waitFor()
  await look('history')
  await button('Roll back to revision 3').click()
  await says('Revision 5 is in force. It restores revision 3')
  await page.getByRole('link', { name: 'API keys' }).click()
  await card('Region pinning').getByRole('radio', { name: 'Enforce' }).check()
  await says('1 change in 1 section')
  await button('Discard').click()
  await says('Draft discarded')
}

async function walkRequests(look: Look): Promise<void> {
  const refused = await fetch(new URL('/auth', server.url))
  const { instance } = (await refused.json()) as { instance: string }
  await page.getByRole('link', { name: 'Requests' }).click()
  await page.getByRole('heading', { name: 'Reasons for refusal' }).waitFor()
  await look('requests')
  await page.getByText('Show as a table').click()
  await look('requests-table')
  await button('Follow live').click()
  await says('Following: nothing new yet')
  for (let number = 0; number < 5; number += 1) await fetch(new URL('/auth', server.url))
  await says('Following: 5 new')
  await page.getByText('6 ×').waitFor()
  await button('Pause').click()
  await says('Paused')
  await page.goto(`${server.url}/#/requests/${instance}`)
  await says('ORIGIN_REQUIRED')
  await look('request')
  await page.goto(`${server.url}/#/apps/shop`)
  await says(/Refused 6 of 6 requests since/)
}

async function walkPalette(look: Look): Promise<void> {
  await button('Go to…').click()
  await page.getByLabel('App, list, request, person or key').fill('hostile')
  await page.getByRole('link', { name: /onerror/ }).waitFor()
  await look('palette')
  await page
    .getByRole('dialog')
    .getByRole('link', { name: /onerror/ })
    .click()
  await page.getByRole('heading', { name: /onerror/ }).waitFor()
}

async function walkLists(look: Look): Promise<void> {
  await page.getByRole('link', { name: 'Lists' }).click()
  await says('No lists yet')
  await page.getByLabel('Name of the new list').fill('offices')
  await button('Create list').click()
  await says('No entries.')
  await page.getByLabel('Add ranges, one per line').fill('10.0.0.1/8')
  await button('Add entries').click()
  await says('host bits are set')
  await forgive(422)
  await look('list-refused')
  const lines = Array.from({ length: 250 }, (_, index) => `192.0.2.${index} # desk ${index}`)
  await page.getByLabel('Add ranges, one per line').fill(lines.join('\n'))
  await button('Add entries').click()
  await says('Entries 1 to 100')
  await button('Next').click()
  await says('Entries 101 to 200')
  await look('list')
  await button('Remove 192.0.2.150').click()
  await says('192.0.2.150 is removed')
  await page.getByLabel('Find in the list').fill('desk 24')
  await button('Find').click()
  await says('Entries 1 to 11')
  await page.getByRole('link', { name: 'Named lists' }).click()
  await says('249')
  await look('lists')
  await button('Go to…').click()
  await page.getByLabel('App, list, request, person or key').fill('off')
  await page.getByRole('link', { name: 'List offices' }).click()
  await says('Entries 1 to 100')
}

async function walkKeys(look: Look): Promise<void> {
  await button('New key').click()
  await page.getByLabel('ID of the new key').fill('not an id')
  await button('Create key').click()
  await says('must be 1-128 characters')
  await forgive(422)
  await page.getByLabel('ID of the new key').fill('shop-2')
  await look('new-key')
  await button('Create key').click()
  await page.getByRole('heading', { name: 'Store this secret now' }).waitFor()
  await page.keyboard.press('Escape')
  await page.keyboard.press('Escape')
  await page.getByRole('heading', { name: 'Store this secret now' }).waitFor()
  await look('secret')
  await page.getByLabel('I have stored it').check()
  await page.getByRole('dialog').getByRole('button', { name: 'Close', exact: true }).click()
  await button('Rotate shop-2').click()
  await page.getByLabel('The old key stops working').selectOption('in 7 days')
  await look('rotate')
  await button('Create key').click()
  await page.getByLabel('I have stored it').check()
  await page.getByRole('dialog').getByRole('button', { name: 'Close', exact: true }).click()
  await says('ends in')
  await button('Revoke shop-1').click()
  await says('can be restored until')
  await look('keys')
  await button('Restore shop-1').click()
  await says('shop-1 is restored')
  await button('Destroy shop-2').click()
  await page.getByRole('heading', { name: 'Destroy shop-2?' }).waitFor()
  await look('destroy')
  await page.getByRole('dialog').getByRole('button', { name: 'Destroy', exact: true }).click()
  await says('shop-2 is destroyed')
}

describe('every page and every change', () => {
  // Colours do not depend on the width, and pages not on the store, so two walks cover both of each.
  const ways = [
    ['memory', 'light', 1280],
    ['Redis', 'dark', 360],
  ] as const
  it.each(ways)(
    'on %s, %s, %i pixels, with the mouse: axe finds nothing, nothing is wider than the window, no CSP violation',
    async (store, colorScheme, width) => {
      await open(width, colorScheme, STORES[store]?.() ?? memoryStore())
      const found: string[] = []
      await walk(async (name) => {
        await takePictures(page, name, { colorScheme, width })
        for (const finding of await axeFindings(page)) found.push(`${name}: ${finding}`)
        const wide = await page.evaluate<number>('document.documentElement.scrollWidth')
        if (wide > width) found.push(`${name}: ${wide} pixels wide`)
      })
      expect(found).toEqual([])
      expect(wrong).toEqual([])
    },
    300_000,
  )
})

describe('with only the keyboard', () => {
  /** Presses Tab until the element with this name has the focus. Fails if it never gets it. */
  async function tabTo(name: RegExp, most = 120): Promise<void> {
    for (let step = 0; step < most; step += 1) {
      await page.keyboard.press('Tab')
      const [label, isHidden] = await page.evaluate<[string, boolean]>(`(() => {
        const at = document.activeElement
        const box = at.getBoundingClientRect()
        const texts = [at.getAttribute('aria-label'), ...[...(at.labels ?? [])].map((label) => label.textContent), at.textContent]
        return [texts.find((text) => text) ?? '', box.width === 0]
      })()`)
      if (isHidden) throw new Error(`the focus is on something that cannot be seen: ${label}`)
      if (name.test(label.trim())) return
    }
    throw new Error(`the focus never came to ${String(name)}`)
  }
  const press = (key: string): Promise<void> => page.keyboard.press(key)

  it('a person signs in, sets a mode, adds and removes an entry, publishes, undoes it, and creates a key', async () => {
    await open(1280, 'light', memoryStore())
    await page.goto(server.url)
    await page.getByLabel('Token').waitFor()
    await tabTo(/^Token/)
    await page.keyboard.type(tokenFor(...ALL_RIGHTS))
    await press('Enter')
    await page.getByRole('link', { name: 'Shop', exact: true }).waitFor()
    await tabTo(/^Shop$/)
    await press('Enter')
    await says('shop-1')
    await tabTo(/^Add ranges/)
    await page.keyboard.type('10.0.0.1/8')
    await press('Enter')
    await says('1 refused')
    await press('Control+a')
    await page.keyboard.type('8.8.8.8')
    await press('Enter')
    await says('1 change in 1 section')
    await tabTo(/^Report$/)
    // In a group of radio buttons, the arrow keys select the next one.
    await press('ArrowRight')
    await says('2 changes in 2 sections')
    await tabTo(/^Remove https:\/\/shop\.example$/)
    await press('Enter')
    await says('No origins. No page is admitted')
    await tabTo(/^Review$/)
    await press('Enter')
    await page.getByRole('heading', { name: 'What changes' }).waitFor()
    await tabTo(/^Reason/)
    await page.keyboard.type('by the keyboard')
    await tabTo(/^Publish$/)
    await press('Enter')
    await says('Revision 2 is in force')
    await tabTo(/^Undo$/)
    await press('Enter')
    await says('Undone')
    await tabTo(/^New key$/)
    await press('Enter')
    await tabTo(/^Create key$/)
    await press('Enter')
    await page.getByRole('heading', { name: 'Store this secret now' }).waitFor()
    await tabTo(/^I have stored it/)
    await press('Space')
    await tabTo(/^Close$/)
    await press('Enter')
    await page.getByRole('dialog', { name: /Store/ }).waitFor({ state: 'detached' })
    await server.store.noteKeyUse('shop', 'shop-2', Date.now())
    await says('The first request signed with shop-2 has arrived')
    await press('Control+k')
    await page.keyboard.type('larg')
    await page.getByRole('link', { name: 'Large large' }).waitFor()
    await press('Enter')
    await page.getByRole('heading', { name: 'Large' }).waitFor()
    expect((await server.store.keys('shop'))?.map(({ id }) => id)).toEqual(['shop-1', 'shop-2'])
    expect(wrong).toEqual([])
  }, 120_000)
})

describe('two people', () => {
  it('who change the same place see both values, and the second one decides', async () => {
    await open(1280, 'light', memoryStore())
    await signIn()
    const bob = await server.signIn('look', 'widen')
    const edit = async (maxAge: number): Promise<void> => {
      const { body: app } = await bob.ask('GET', 'apps/shop')
      const before = app.draft?.policy ?? app.policy
      const policy = { ...before, serverOnly: { ...before.serverOnly, maxAge } }
      const { status } = await bob.ask('PUT', 'apps/shop/draft', {
        version: app.draft?.version,
        before,
        policy,
      })
      expect(status).toBe(200)
    }
    const maxAge = async (): Promise<unknown> =>
      (await bob.ask('GET', 'apps/shop')).body.draft.policy.serverOnly.maxAge
    const field = page.getByLabel('Signatures expire after (seconds)')
    const dialog = page.getByRole('dialog', { name: 'look and widen changed the same setting' })
    await page.getByRole('link', { name: 'Shop', exact: true }).click()
    await says('shop-1')
    await edit(60)
    await field.fill('90')
    await field.press('Tab')
    await dialog.waitFor()
    await forgive(412)
    expect(await axeFindings(page)).toEqual([])
    await dialog.getByRole('button', { name: 'Keep mine' }).click()
    await says('1 change in 1 section')
    expect(await maxAge()).toBe(90)
    await edit(120)
    await field.fill('150')
    await field.press('Tab')
    await dialog.waitFor()
    await forgive(412)
    // Escape decides nothing: the conflict can be opened again, and until then no other edit is taken.
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
    await says('Your last edit is not saved: someone else changed the same setting.')
    expect(await maxAge()).toBe(120)
    expect(await axeFindings(page)).toEqual([])
    await page.getByLabel('The signature must cover the content type').click()
    await dialog.waitFor()
    await dialog.getByRole('button', { name: 'Decide later' }).click()
    expect(await page.getByLabel('The signature must cover the content type').isChecked()).toBe(true)
    await page.getByRole('button', { name: 'Decide', exact: true }).click()
    await dialog.getByRole('button', { name: 'Keep theirs' }).click()
    await page.waitForFunction(`document.querySelector('#serverOnly-maxAge').value === '120'`)
    await says('1 change in 1 section')
    expect(await maxAge()).toBe(120)
    expect(wrong).toEqual([])
  })

  it('an edit next to that of another person is merged with it', async () => {
    await open(1280, 'light', memoryStore())
    await signIn()
    await page.getByRole('link', { name: 'Shop', exact: true }).click()
    await says('shop-1')
    const bob = await server.signIn('look', 'widen')
    const { body: app } = await bob.ask('GET', 'apps/shop')
    await bob.ask('PUT', 'apps/shop/draft', {
      before: app.policy,
      policy: { ...app.policy, name: 'Shop of Bob' },
    })
    await card('Domain protection').getByRole('radio', { name: 'Enforce' }).check()
    await says('2 changes in 2 sections')
    await page.getByRole('heading', { name: 'Shop of Bob' }).waitFor()
    expect(wrong).toEqual([])
  })

  it('an edit made while the page reloads data is not undone by the older answer', async () => {
    await open(1280, 'light', memoryStore())
    await server.store.write({ policy: { ...APP, name: 'Shop of Ada' } }, 1)
    await signIn()
    await page.getByRole('link', { name: 'Shop of Ada' }).click()
    await says('shop-1')
    await page.getByRole('link', { name: 'History' }).click()
    await page.getByRole('heading', { name: 'Revision 2' }).waitFor()
    // The answer to the read after the rollback is delayed.
    let looks = 0
    await page.route('**/api/apps/shop', async (route) => {
      const answer = await route.fetch()
      looks += 1
      await page.waitForTimeout(1_000)
      await route.fulfill({ response: answer })
    })
    await button('Roll back to revision 1').click()
    await says('Revision 3 is in force')
    await page.getByRole('link', { name: 'API keys' }).click()
    await card('Domain protection').getByRole('radio', { name: 'Enforce' }).click()
    await says('1 change in 1 section')
    await page.waitForTimeout(1_500)
    expect(await page.getByText('1 change in 1 section').count()).toBe(1)
    expect(await card('Domain protection').getByRole('radio', { name: 'Enforce' }).isChecked()).toBe(true)
    expect([looks, wrong]).toEqual([1, []])
  })

  it('an expired session leads to the sign-in and back, and nothing is lost', async () => {
    await open(1280, 'light', memoryStore())
    await signIn()
    await page.getByRole('link', { name: 'Shop', exact: true }).click()
    await says('shop-1')
    await card('Domain protection').getByRole('radio', { name: 'Enforce' }).check()
    await says('1 change in 1 section')
    await context.clearCookies()
    await card('Region pinning').getByRole('radio', { name: 'Report' }).click()
    await page.getByLabel('Token').fill(tokenFor(...ALL_RIGHTS))
    await forgive(401)
    await button('Sign in').click()
    await page.getByRole('heading', { name: 'Shop' }).waitFor()
    await says('1 change in 1 section')
    expect(wrong).toEqual([])
  })
})

describe('without rights to change', () => {
  it('a person who may only view sees everything, and no controls for changes', async () => {
    await open(1280, 'light', memoryStore())
    await page.goto(server.url)
    await page.getByLabel('Token').fill(tokenFor('look'))
    await button('Sign in').click()
    await page.getByRole('link', { name: 'Shop', exact: true }).click()
    await says('shop-1')
    const offered = await page.getByRole('button').allTextContents()
    expect(offered).toEqual(['Go to…', 'Sign out'])
    expect(await page.getByRole('radio').first().isDisabled()).toBe(true)
    expect(wrong).toEqual([])
  })
})
