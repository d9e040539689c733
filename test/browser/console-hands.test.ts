import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStore, UnavailableError, type ManagedPolicyStore } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { axeFindings } from '../support/axe.ts'
import { launchChromium } from '../support/chromium.ts'
import { ALL_RIGHTS, APP_DOCUMENT, startConsole, tokenFor, type ConsoleServer } from '../support/console.ts'
import { startRedis } from '../support/redis.ts'
import { takePictures } from '../support/screenshots.ts'
import { watchPages } from '../support/watched-pages.ts'

let browser: Browser
let server: ConsoleServer
let context: BrowserContext
let page: Page
/** Errors of pages. */
let wrong: string[]

beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(() => browser?.close())
afterEach(async () => {
  await context?.close()
  await server?.close()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

/** A store with slow writes. */
function slowStore(): ManagedPolicyStore {
  const store = memoryStore([APP_DOCUMENT])
  return {
    ...store,
    async write(...given) {
      await sleep(300)
      return store.write(...given)
    },
  }
}

async function open(
  place: string,
  { store = memoryStore([APP_DOCUMENT]), refusals }: { store?: ManagedPolicyStore; refusals?: number[] } = {},
): Promise<void> {
  server = await startConsole({ store })
  context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, reducedMotion: 'reduce' })
  wrong = await watchPages(context, { refusals: refusals ?? [] })
  page = await context.newPage()
  await page.goto(server.url)
  await signIn()
  await page.goto(`${server.url}/#/${place}`)
}

async function signIn(): Promise<void> {
  await page.getByLabel('Token').fill(tokenFor(...ALL_RIGHTS))
  await button('Sign in').click()
  await page.getByLabel('Token').waitFor({ state: 'detached' })
}

const button = (name: string | RegExp) => page.getByRole('button', { name })
const says = (text: string | RegExp): Promise<void> => page.getByText(text).first().waitFor()
const addresses = () => page.getByRole('article', { name: /^Address allow list/ })

/** The label or text of the focused element. */
const focused = (): Promise<string> =>
  page.evaluate<string>(`(({ ariaLabel, id, textContent, localName }) =>
    localName === 'body' ? 'nothing' : ariaLabel ?? (id || textContent))(document.activeElement)`)

const hasFocus = async (what: string): Promise<void> => {
  for (let tries = 0; tries < 100 && (await focused()) !== what; tries += 1) await page.waitForTimeout(20)
  expect(await focused()).toBe(what)
}

async function addRange(range: string): Promise<void> {
  await addresses().getByLabel('Add ranges').fill(range)
  await addresses().getByLabel('Add ranges').press('Enter')
  await button(`Remove ${range}`).waitFor()
}

async function end(): Promise<void> {
  expect([await axeFindings(page), wrong]).toEqual([[], []])
}

describe('a double click', () => {
  it('publishes once, reports it, and offers to undo it', async () => {
    await open('apps/shop', { store: slowStore() })
    await addRange('8.8.8.8')
    await page.getByRole('link', { name: 'Review' }).last().click()
    await button('Publish').dblclick()
    await says('Revision 2 is in force')
    await page.waitForTimeout(500)
    expect(await page.getByRole('status').getByText('Revision 2 is in force').count()).toBe(1)
    await button('Undo').click()
    await says('Undone. Revision 3 restores revision 1')
    await end()
  })

  it('discards a draft once, keeps an expectation once, and restores discarded edits', async () => {
    await open('apps/shop/try')
    await button('Check this request').click()
    await page.getByLabel('Why this request must').fill('nobody from nowhere')
    await page.getByRole('button', { name: 'Add to draft' }).dblclick()
    await says('1 change in 1 section')
    await page.waitForTimeout(300)
    const { body } = await (await server.signIn()).ask('GET', 'apps/shop')
    expect(body.draft.policy.expect).toHaveLength(1)
    await button('Discard').dblclick()
    await says('Draft discarded.')
    await page.waitForTimeout(300)
    expect(await page.getByText('Draft discarded.').count()).toBe(1)
    await button('Undo').click()
    await says('The edits are back in the draft.')
    await says('1 change in 1 section')
    const { body: again } = await (await server.signIn()).ask('GET', 'apps/shop')
    expect(again.draft.policy).toEqual(body.draft.policy)
    await end()
  })
})

describe('the offer to undo', () => {
  it('stays on the other pages of the app, and ends on those of others', async () => {
    await open('apps/shop')
    await addRange('8.8.8.8')
    await page.getByRole('link', { name: 'Review' }).last().click()
    await button('Publish').click()
    await button('Undo').waitFor()
    await page.waitForTimeout(1_200)
    await page.getByRole('link', { name: 'Try it' }).click()
    await page.getByRole('heading', { name: 'Try a request' }).waitFor()
    await page.getByRole('link', { name: 'History' }).click()
    await page.getByRole('heading', { name: 'Revision 2' }).waitFor()
    await button('Undo').click()
    await says('Undone. Revision 3 restores revision 1')
    await page.waitForTimeout(1_200)
    await page.getByRole('link', { name: 'Apps' }).first().click()
    await page.getByRole('heading', { name: 'Apps' }).waitFor()
    expect(await page.getByText('Undone').count()).toBe(0)
    await end()
  })
})

describe('the button to undo a publication', () => {
  it('stays when the page is loaded again, until something else is published', async () => {
    await open('apps/shop')
    await addRange('8.8.8.8')
    await page.getByRole('link', { name: 'Review' }).last().click()
    await button('Publish').click()
    await says('Revision 2 is in force')
    await page.reload()
    await button('Undo revision 2').click()
    await says('Undone. Revision 3 restores revision 1')
    await button('Undo revision 2').waitFor({ state: 'detached' })
    await end()
  })
})

describe('the focus', () => {
  it('moves to the next element if the focused one is removed', async () => {
    await open('apps/shop')
    await addRange('8.8.8.8')
    await addRange('8.8.4.4')
    await button('Remove 8.8.8.8').focus()
    await page.keyboard.press('Enter')
    await hasFocus('Remove 8.8.4.4')
    await page.keyboard.press('Enter')
    await hasFocus('Remove 10.0.0.0/8')
    await page.keyboard.press('Enter')
    await hasFocus('add-ipWhitelist-ranges')
    await button('Revoke shop-1').focus()
    await page.keyboard.press('Enter')
    await hasFocus('Restore shop-1')
    await page.keyboard.press('Enter')
    await hasFocus('Rotate shop-1')
    await page.getByRole('link', { name: 'Review' }).last().click()
    await button('Publish').focus()
    await page.keyboard.press('Enter')
    await says('Revision 4 is in force')
    await hasFocus('Shop')
    await end()
  })

  it('returns to the button that opened a dialog', async () => {
    await open('apps/shop')
    await button('New key').focus()
    await page.keyboard.press('Enter')
    await button('Cancel').click()
    await hasFocus('New key')
    await page.keyboard.press('Enter')
    await button('Create key').click()
    await page.getByLabel('I have stored it').check()
    await button('Close').click()
    await hasFocus('New key')
    await button('Rotate shop-1').click()
    await page.keyboard.press('Escape')
    await hasFocus('Rotate shop-1')
    await end()
  })
})

describe('a session that ends', () => {
  it('is renewed on the same page, and what was typed is kept', async () => {
    await open('apps/shop', { refusals: [401] })
    const field = addresses().getByLabel('Add ranges')
    await field.fill('8.8.8.8\n8.8.4.4')
    await context.clearCookies()
    await field.press('Enter')
    await says('Your session has ended')
    for (const _ of [1, 2, 3]) await page.keyboard.press('Escape')
    await takePictures(page, 'session-ended', { colorScheme: 'light', width: 1280 })
    expect(await axeFindings(page)).toEqual([])
    await signIn()
    await page.getByText('Your session has ended').waitFor({ state: 'detached' })
    expect(await field.inputValue()).toBe('8.8.8.8\n8.8.4.4')
    await field.press('Enter')
    await button('Add the 2 valid ranges').click()
    await button('Remove 8.8.4.4').waitFor()
    await end()
  })

  it('of an app with its own sign-in is renewed there, and what was typed is kept', async () => {
    const express = (await import('express')).default
    let isSignedIn = true
    const app = express()
    app.get('/sign-in', (_req, res) => {
      isSignedIn = true
      res.send('<!doctype html><link rel="icon" href="data:,"><title>Signed in</title>')
    })
    server = await startConsole({
      app,
      signInUrl: '/sign-in',
      authorize: () => (isSignedIn ? { name: 'Ada', rights: ALL_RIGHTS } : undefined),
    })
    context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, reducedMotion: 'reduce' })
    wrong = await watchPages(context, { refusals: [401] })
    page = await context.newPage()
    await page.goto(`${server.url}/#/apps/shop`)
    const field = addresses().getByLabel('Add ranges')
    await field.fill('8.8.8.8\n8.8.4.4')
    isSignedIn = false
    await field.press('Enter')
    await says('Your session has ended')
    expect(await page.getByLabel('Token').count()).toBe(0)
    await button('Continue').click()
    await says('You are not signed in to the application.')
    await takePictures(page, 'own-sign-in', { colorScheme: 'light', width: 1280 })
    expect(await axeFindings(page)).toEqual([])
    const opened = context.waitForEvent('page')
    await page.getByRole('link', { name: 'Sign in (opens a new tab)' }).click()
    await (await opened).waitForLoadState()
    await button('Continue').click()
    await page.getByText('Your session has ended').waitFor({ state: 'detached' })
    expect(await field.inputValue()).toBe('8.8.8.8\n8.8.4.4')
    // Whoever opens the console without being signed in is led there too.
    isSignedIn = false
    await page.reload()
    await page.getByRole('link', { name: 'Sign in (opens a new tab)' }).waitFor()
    expect(await page.getByLabel('Token').count()).toBe(0)
    isSignedIn = true
    await button('Continue').click()
    await addresses().waitFor()
    await end()
  })

  it('loads the page again if another user signs in', async () => {
    await open('apps/shop', { refusals: [401] })
    await addresses().getByLabel('Add ranges').fill('8.8.8.8')
    await context.clearCookies()
    await addresses().getByLabel('Add ranges').press('Enter')
    await page.getByLabel('Token').fill(tokenFor('look'))
    await button('Sign in').click()
    await page.getByLabel('Token').waitFor({ state: 'detached' })
    await addresses().waitFor()
    expect(await addresses().getByLabel('Add ranges').count()).toBe(0)
    await end()
  })
})

describe('a page of an app', () => {
  it('shows why a stored policy is not valid, and rolls back to a valid revision', async () => {
    const redis = await startRedis()
    const client = new Redis(redis.url)
    try {
      const store = redisStore(client, {
        // The machine may be busy with other tests.
        commandTimeout: 10_000,
        vault: createVault({ keys: [{ id: 'root', key: Buffer.alloc(32, 1) }] }),
      })
      await store.write(APP_DOCUMENT, 0)
      await store.write({ policy: { ...APP_DOCUMENT.policy, name: 'Later' } }, 1)
      // As another version would have written it.
      const policy = JSON.stringify({ ...APP_DOCUMENT.policy, ipWhitelist: { ranges: ['10.0.0.1/8'] } })
      await client.hset('portcullis:app:{shop}', 'policy', policy)
      await open('apps/shop', { store, refusals: [409] })
      await says('The stored policy of this app is not valid: ipWhitelist.mode')
      await says('Servers cannot use this policy')
      // Nothing is in force.
      await says('not valid: refuses every request')
      expect(await page.getByText('in force', { exact: true }).count()).toBe(0)
      await page.getByRole('heading', { name: 'Revision 1' }).waitFor()
      await page.getByText('Remove this app').waitFor()
      await takePictures(page, 'stored-policy-refused', { colorScheme: 'light', width: 1280 })
      expect(await axeFindings(page)).toEqual([])
      await button('Roll back to revision 1').click()
      await says('Revision 3 is in force')
      await page.getByRole('heading', { name: 'Shop' }).waitFor()
      await end()
    } finally {
      client.disconnect()
      await redis.stop()
    }
  })

  it('shows that somebody else has removed the app', async () => {
    await open('apps/shop', { refusals: [404] })
    await addresses().waitFor()
    await server.store.remove('shop', 1)
    await addresses().getByRole('radio', { name: 'Off' }).click()
    await page.getByRole('main').getByText('there is no app with this id').waitFor()
    expect(await addresses().count()).toBe(0)
    await page.getByRole('link', { name: 'Apps' }).last().click()
    await says('No apps yet')
    await end()
  })

  it('reports a published change even if its answer was an error, and offers to retry a failed read', async () => {
    const store = memoryStore([APP_DOCUMENT])
    let fails = ''
    await open('apps/shop', {
      refusals: [503],
      store: {
        ...store,
        async read(appId) {
          if (fails === 'read') throw new UnavailableError('the store is away')
          return store.read(appId)
        },
        async write(...given) {
          const revision = await store.write(...given)
          if (fails === 'write') throw new UnavailableError('the answer is lost')
          return revision
        },
      },
    })
    await addRange('8.8.8.8')
    fails = 'read'
    await page.getByRole('link', { name: 'Review' }).last().click()
    await page.getByRole('main').getByText('could not be reached').waitFor()
    fails = ''
    await button('Try again').click()
    fails = 'write'
    await button('Publish').click()
    await says('Revision 2 is in force')
    fails = ''
    await button('Undo').click()
    await says('Undone. Revision 3 restores revision 1')
    expect(server.faults.splice(0)).toHaveLength(2)
    await end()
  })
})

describe('requests that are followed', () => {
  it('are counted in the chart, and have a time with seconds', async () => {
    await open('apps/shop/requests')
    await says('No requests recorded yet')
    await button('Follow live').click()
    await says('Following: nothing new yet')
    for (const _ of [1, 2, 3]) await fetch(new URL('/auth', server.url))
    await says('Following: 3 new')
    expect(await page.locator('.legend').innerText()).toMatch(
      /0 passed\s+0 would have been refused\s+3 refused/,
    )
    expect(await page.locator('tbody a').allInnerTexts()).toEqual(
      Array(3).fill(expect.stringMatching(/^\d+:\d\d:\d\d.[AP]M$/)),
    )
    await button('Refresh').click()
    await page.waitForTimeout(300)
    expect(await page.locator('.legend').innerText()).toContain('3 refused')
    await end()
  })
})

describe('names and entries with invisible characters', () => {
  it('do not change the direction of other text, and a blank name is shown as the ID', async () => {
    const named = (appId: string, name: string) => ({ policy: { ...APP_DOCUMENT.policy, appId, name } })
    await open('', { store: memoryStore([named('blank', ' \u200b\u0000'), named('turned', 'ab\u202Ecd')]) })
    await page.getByRole('link', { name: 'blank', exact: true }).click()
    await page.getByRole('heading', { name: 'blank' }).waitFor()
    const field = page.getByRole('article', { name: /^Return URLs/ }).getByLabel('Add return URLs')
    await field.fill('https://shop.example/\u202Eelpmaxe')
    await field.press('Enter')
    const verdict = page.getByRole('list', { name: 'Verdicts' }).getByRole('listitem')
    const code = await verdict.locator('code').first().boundingBox()
    const badge = await verdict.getByText('refused', { exact: true }).boundingBox()
    expect(badge?.x ?? 0).toBeGreaterThan((code?.x ?? 0) + (code?.width ?? 0) - 1)
    await page.goto(`${server.url}/#/`)
    await page.getByRole('row', { name: /turned/ }).waitFor()
    expect(
      await page.evaluate<string>(
        "getComputedStyle(document.querySelector('tbody tr:last-child a')).unicodeBidi",
      ),
    ).toBe('isolate')
    await end()
  })
})

describe('the palette', () => {
  it('waits for its search, and says if it finds nothing', async () => {
    await open('apps')
    await page.keyboard.press('Control+k')
    await page.keyboard.type('shop')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Shop' }).waitFor()
    await page.keyboard.press('Control+k')
    await page.keyboard.type('shoe')
    await says('No app ID starts with “shoe”')
    await end()
  })
})

describe('a key', () => {
  it('is found in the palette by its id, in whichever app it is', async () => {
    const key = { ...APP_DOCUMENT.keys[0], id: 'k9' }
    const documents = Array.from({ length: 250 }, (_, index) => ({
      policy: { appId: `app-${index}` },
      keys: index === 7 ? [key] : [],
    }))
    await open('', { store: memoryStore(documents) })
    await page.keyboard.press('Control+k')
    await page.keyboard.type('k8')
    await page.keyboard.press('Enter')
    await says('No app has a key “k8”.')
    await page.getByLabel('App, list').fill('k9')
    await button(/Search all apps/).click()
    await says('Found in 1 app.')
    await page.getByRole('link', { name: 'Key k9 of app-7' }).click()
    await page.getByRole('heading', { name: 'app-7' }).waitFor()
    await end()
  })

  it('is no longer searched for when Escape has closed the palette', async () => {
    const store = memoryStore(
      Array.from({ length: 5_000 }, (_, index) => ({ policy: { appId: `app-${index}` } })),
    )
    let listed = 0
    const slow: typeof store = {
      ...store,
      list: async (options) => {
        listed += 1
        await new Promise((resolve) => setTimeout(resolve, 100))
        return store.list(options)
      },
    }
    await open('', { store: slow })
    await page.keyboard.press('Control+k')
    await page.keyboard.type('k8')
    await button(/Search all apps/).click()
    await says('Searching…')
    await page.keyboard.press('Escape')
    await page.waitForTimeout(200)
    const before = listed
    await page.waitForTimeout(500)
    expect(listed).toBe(before)
    await end()
  })
})

describe('a list of entries', () => {
  it('finds an entry whatever its case, and corrects the entry that was meant', async () => {
    const urls = Array.from({ length: 12 }, (_, index) => `https://shop.example/Callback/${index}/`)
    await open('apps/shop', {
      store: memoryStore([{ policy: { ...APP_DOCUMENT.policy, returnUrlGuard: { mode: 'enforce', urls } } }]),
    })
    await page.getByPlaceholder('Filter 12 return URLs').fill('Callback/7')
    await button('Remove https://shop.example/Callback/7/').waitFor()
    expect(await button('Remove https://shop.example/Callback/8/').count()).toBe(0)
    const field = addresses().getByLabel('Add ranges')
    await field.fill('192.0.2.1/24\n2.0.2.1/24')
    await field.press('Enter')
    await button('Use 2.0.2.0/24').click()
    await says('1 refused')
    expect(await field.inputValue()).toBe('192.0.2.1/24\n2.0.2.0/24')
    await end()
  })

  it('keeps a refused entry in the field when the valid ones are added', async () => {
    await open('apps/shop')
    const field = addresses().getByLabel('Add ranges')
    await field.fill('8.8.8.8\nnonsense\n8.8.4.4')
    await field.press('Enter')
    await button('Add the 2 valid ranges').click()
    await button('Remove 8.8.4.4').waitFor()
    expect(await field.inputValue()).toBe('nonsense')
    await end()
  })

  it('can be added without the doubtful ones, which stay in the field', async () => {
    await open('apps/shop')
    const field = addresses().getByLabel('Add ranges')
    await field.fill('0.0.0.0/0\n8.8.8.8')
    await field.press('Enter')
    await button('Add 2 ranges (1 doubtful)').waitFor()
    await button('Add the 1 valid range').click()
    await button('Remove 8.8.8.8').waitFor()
    expect(await button('Remove 0.0.0.0/0').count()).toBe(0)
    expect(await field.inputValue()).toBe('0.0.0.0/0')
    await end()
  })

  it.each([
    ['a comment', '#mine'],
    ['a JSON array', '[1]'],
    ['quoted', '"8.8.4.4"'],
    ['two words', 'no sense'],
  ])('keeps a refused entry as it is, although it looks like %s', async (_what, entry) => {
    await open('apps/shop')
    const field = addresses().getByLabel('Add ranges')
    await field.fill(JSON.stringify(['8.8.8.8', entry]))
    await field.press('Enter')
    await button('Add the 1 valid range').click()
    await button('Remove 8.8.8.8').waitFor()
    expect(JSON.parse(await field.inputValue())).toEqual([entry])
    await end()
  })

  it('keeps what is typed while an entry is added', async () => {
    await open('apps/shop')
    await page.route('**/entries', async (route) => {
      await sleep(500)
      await route.continue()
    })
    const field = addresses().getByLabel('Add ranges')
    await field.fill('8.8.8.8')
    await field.press('Enter')
    await field.fill('8.8.4.4')
    await button('Remove 8.8.8.8').waitFor()
    expect(await field.inputValue()).toBe('8.8.4.4')
    await end()
  })

  it('shows the number of pasted lines instead of thousands of them', async () => {
    await open('apps/shop')
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    const paste = async (count: number): Promise<void> => {
      const lines = Array.from({ length: count }, (_, index) => `20.1.${index >> 8}.${index & 255}`)
      await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(lines.join('\n'))})`)
      await addresses().getByLabel('Add ranges').press('Control+v')
    }
    await paste(2_000)
    await says('2,000 lines pasted.')
    expect(await focused()).toBe('Add')
    await button('Discard').click()
    expect(await addresses().getByLabel('Add ranges').inputValue()).toBe('')
    expect(await focused()).not.toBe('nothing')
    await paste(2_000)
    await page.keyboard.press('Enter')
    await button(/^Add (?:the )?2,000/).click()
    await says('1 change in 1 section')
    expect(await addresses().getByLabel('Add ranges').inputValue()).toBe('')
    await end()
  })

  it('of 20,000 entries sends and receives only what changes', async () => {
    const ranges = Array.from({ length: 20_000 }, (_, index) => `20.${index >> 8}.${index & 255}.7`)
    const policy = { ...APP_DOCUMENT.policy, ipWhitelist: { mode: 'report', ranges } } as const
    await open('apps/shop', { store: memoryStore([{ policy }]) })
    await button('Remove 20.0.1.7').waitFor()
    const exchanged = page.waitForResponse(/\/draft\/edits$/)
    await button('Remove 20.0.1.7').click()
    await button('Remove 20.0.1.7').waitFor({ state: 'detached' })
    const response = await exchanged
    expect(response.request().postDataBuffer()?.length).toBeLessThan(1_000)
    expect((await response.body()).length).toBeLessThan(20_000)
    // The new entry is at the end of the list, which is shown page by page.
    await addresses().getByLabel('Add ranges').fill('8.8.8.8')
    await addresses().getByLabel('Add ranges').press('Enter')
    await addresses().getByPlaceholder('Filter 20,000 ranges').fill('8.8.8.8')
    await button('Remove 8.8.8.8').waitFor()
    const { body } = await (await server.signIn()).ask('GET', 'apps/shop')
    expect(body.draft.policy.ipWhitelist.ranges).toHaveLength(20_000)
    expect(body.draft.policy.ipWhitelist.ranges).toContain('8.8.8.8')
    expect(body.draft.policy.ipWhitelist.ranges).not.toContain('20.0.1.7')
    await end()
  }, 120_000)
})
