import { mkdir } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Secret, TOTP } from 'otpauth'
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createDemoApps, DEMO_APPS } from '../../example-server/demo-apps.ts'
import { memoryStorage } from '../../example-server/storage.ts'
import { axeFindings } from '../support/axe.ts'
import { launchChromium } from '../support/chromium.ts'
import {
  ADA,
  codeFor,
  CONNECT,
  json,
  SHOP_POLICY,
  shopServer,
  startExampleServer,
  Visitor,
  type ExampleServer,
} from '../support/example-server.ts'
import { watchPages } from '../support/watched-pages.ts'

/** The folder for screenshots of every page, set with `SCREENSHOTS=folder`. */
const SCREENSHOTS = process.env['SCREENSHOTS']

let browser: Browser
let server: ExampleServer
let dallas: ExampleServer
let context: BrowserContext
let page: Page
/** Errors and warnings that the pages of the context have caused. */
let wrong: string[]

/** Values of maximum length without a place for a line break. */
const LONG = {
  ...ADA,
  email: `${'a'.repeat(60)}@${'b'.repeat(60)}.${'c'.repeat(60)}.example`,
  firstname: 'W'.repeat(100),
  image: '',
}

beforeAll(async () => {
  browser = await launchChromium()
  const storage = memoryStorage()
  dallas = await startExampleServer({ storage, region: 'dallas' })
  server = await startExampleServer({ storage, demoApps: DEMO_APPS, otherUrls: { dallas: dallas.url } })
  await server.change(SHOP_POLICY, { name: `Shop ${'of many things '.repeat(3)}${'m'.repeat(60)}` })
  await createDemoApps(server.store, [server.url])
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
  await dallas?.close()
})
afterEach(async () => {
  await context?.close()
  if (wrong.length > 0) throw new Error(`the pages were at fault: ${wrong.join('; ')}`)
})

/** The statuses for wrong input and for unknown addresses. */
const REFUSALS = [400, 401, 403, 404, 421]

async function openPage(options: BrowserContextOptions = {}): Promise<void> {
  context = await browser.newContext(options)
  wrong = await watchPages(context, { refusals: REFUSALS })
  page = await context.newPage()
}

async function gateway(scope: string[] = CONNECT.scope, return_url = CONNECT.return_url): Promise<string> {
  const body = { ...CONNECT, scope, return_url }
  const response = await shopServer().send(`${server.url}/auth/v2/connect`, json(body))
  return ((await response.json()) as { gateway: string }).gateway
}

/** The actions of a person, with the mouse or only with the keyboard. */
interface Hands {
  /** Presses a button or a link that leads to another page. */
  press(role: 'button' | 'link', name: string | RegExp): Promise<void>
  fill(label: string | RegExp, text: string): Promise<void>
  choose(label: string, country: keyof typeof COUNTRIES): Promise<void>
}
const COUNTRIES = { FR: 'France', US: 'United States' } as const

/** Waits for the page to which an action leads. */
async function arriving(act: () => Promise<void>): Promise<void> {
  const loaded = page.waitForEvent('load')
  await act()
  await loaded
}

const BY_MOUSE: Hands = {
  press: (role, name) => arriving(() => page.getByRole(role, { name }).first().click()),
  fill: (label, text) => page.getByLabel(label).fill(text),
  choose: async (label, country) => void (await page.getByLabel(label).selectOption(country)),
}

/** Presses Tab until the target has the focus. */
async function tabTo(target: Locator, what: string | RegExp): Promise<void> {
  await target.waitFor()
  for (let count = 0; count < 60; count += 1) {
    if ((await target.and(page.locator(':focus')).count()) > 0) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`the focus never came to ${String(what)}`)
}

const BY_KEYBOARD: Hands = {
  async press(role, name) {
    await tabTo(page.getByRole(role, { name }).first(), name)
    await arriving(() => page.keyboard.press('Enter'))
  },
  async fill(label, text) {
    await tabTo(page.getByLabel(label), label)
    await page.keyboard.press('Control+a')
    await page.keyboard.type(text)
  },
  async choose(label, country) {
    await tabTo(page.getByLabel(label), label)
    await page.keyboard.type(COUNTRIES[country])
  },
}

/** A check of the open page. `focused` is the id of the element that must have the focus. */
type Look = (name: string, focused?: string) => Promise<void>

interface Walk {
  readonly look: Look
  readonly hands: Hands
  readonly email: string
}

async function fillSignUp(hands: Hands, profile: typeof ADA): Promise<void> {
  await hands.fill('Email address', profile.email)
  await hands.fill('Password', profile.password)
  await hands.fill('First name', profile.firstname)
  await hands.fill('Last name', profile.surname)
  await hands.choose('Citizenship', profile.country as keyof typeof COUNTRIES)
}

/** Visits every page in every state. The shop, which needs JavaScript, is separate. */
async function walkPages(walk: Walk): Promise<void> {
  const { look, hands, email } = walk
  const { press, fill } = hands
  const profile = { ...LONG, email }
  await page.goto(server.url)
  await look('home')
  await page.goto(`${server.url}/nowhere`)
  await look('not found')
  await page.goto(`${server.url}/gateway/${'A'.repeat(43)}`)
  await look('ended')

  const url = await gateway(['firstname!', 'email', 'image!', 'country'])
  await page.goto(url)
  await look('sign-in', 'email')
  await fill('Email address', email)
  await fill('Password', 'a wrong password')
  await press('button', 'Sign in')
  await look('sign-in wrong', 'password')
  await press('link', 'Create an account')
  await look('sign-up', 'email')
  await fillSignUp(hands, { ...profile, password: 'password1234' })
  await press('button', 'Create an account')
  await look('sign-up common password', 'password')
  await fillSignUp(hands, { ...profile, country: 'US' })
  await press('button', 'Create an account')
  await look('misdirected')
  await press('button', 'Continue at the gateway in Dallas')
  await look('sign-up in dallas', 'password')
  expect(await page.getByLabel('Email address').inputValue()).toBe(email)
  expect(page.url().startsWith(dallas.url)).toBe(true)

  await page.goto(`${url}/sign-up`)
  await fillSignUp(hands, profile)
  await context.clearCookies()
  await press('button', 'Create an account')
  await look('form of an ended session')
  await press('link', 'Open the page again')
  await press('link', 'Create an account')
  await fillSignUp(hands, profile)
  await press('button', 'Create an account')
  await look('confirm', 'code')
  await fill('Code from the email', '00000000')
  await press('button', 'Confirm')
  await look('confirm wrong', 'code')
  await fill('Code from the email', codeFor(server.mails, email))
  await press('button', 'Confirm')
  await look('consent')
  await page.evaluate(`document.querySelector('form').noValidate = true`)
  await press('button', 'Share and continue')
  await look('consent without picture', 'image-address')

  await page.goto(`${server.url}/account`)
  await look('account')
  await press('link', 'See who has used your data')
  await look('access log')
  await press('link', 'Back to your account')
  await walkSessions(walk)
  await walkPassword(walk)
  await walkFactor(walk)
  await walkReset(walk)
}

async function walkSessions({ look, hands: { press }, email }: Walk): Promise<void> {
  const other = new Visitor()
  await other.open(`${server.url}/account/sign-in`)
  expect(await other.submit('sign-in', { email, password: ADA.password })).toMatchObject({ status: 303 })
  await page.reload()
  await look('account with two sessions')
  await press('button', /^End the session/)
  await look('account session ended', 'done')
}

async function walkPassword({ look, hands: { press, fill } }: Walk): Promise<void> {
  await press('link', 'Change the password')
  await look('password', 'current')
  await fill('Current password', 'a wrong password')
  await fill('New password', 'a staple for the horse')
  await press('button', 'Change the password')
  await look('password wrong', 'current')
  await fill('Current password', ADA.password)
  await fill('New password', 'a staple for the horse')
  await press('button', 'Change the password')
  await look('account password changed', 'done')
}

async function walkFactor({ look, hands: { press, fill }, email }: Walk): Promise<void> {
  await press('link', 'Turn on a second factor')
  await look('factor')
  const key = ((await page.locator('.key').textContent()) ?? '').replaceAll(/\s/g, '')
  const totp = new TOTP({ secret: Secret.fromBase32(key) })
  await fill('Code from the app', '000000')
  await fill('Current password', 'a staple for the horse')
  await press('button', 'Turn it on')
  await look('factor wrong', 'code')
  await fill('Code from the app', totp.generate())
  await fill('Current password', 'a staple for the horse')
  await press('button', 'Turn it on')
  await look('recovery codes')
  await press('link', 'I have saved them')
  await look('account with factor')
  await press('button', 'Sign out')
  await look('sign-in to account', 'email')
  await fill('Email address', email)
  await fill('Password', 'a staple for the horse')
  await press('button', 'Sign in')
  await look('second step', 'code')
  await fill('Code', '000000')
  await press('button', 'Continue')
  await look('second step wrong', 'code')
  await fill('Code', totp.generate({ timestamp: Date.now() + 30_000 }))
  await press('button', 'Continue')
  await press('link', 'Turn off the second factor')
  await look('factor off', 'current')
  await fill('Current password', 'a staple for the horse')
  await press('button', 'Turn it off')
  await look('account factor off', 'done')
}

/** Deletes the account, which has a second factor. */
async function walkDelete({ look, hands: { press, fill }, email }: Walk): Promise<void> {
  const password = 'a third one for the horse'
  await press('link', 'Turn on a second factor')
  const key = ((await page.locator('.key').textContent()) ?? '').replaceAll(/\s/g, '')
  const totp = new TOTP({ secret: Secret.fromBase32(key) })
  await fill('Code from the app', totp.generate())
  await fill('Current password', password)
  await press('button', 'Turn it on')
  await press('link', 'I have saved them')
  await press('link', 'Delete your account')
  await look('delete', 'current')
  await fill('Current password', 'a wrong password')
  await fill('Code', '000000')
  await press('button', 'Delete my account')
  await look('delete wrong', 'current')
  await fill('Current password', password)
  await fill('Code', '000000')
  await press('button', 'Delete my account')
  await look('delete wrong code', 'code')
  await fill('Current password', password)
  await fill('Code', totp.generate({ timestamp: Date.now() + 30_000 }))
  await press('button', 'Delete my account')
  await look('deleted', 'done')
  expect(server.mails.findLast(({ to }) => to === email)?.subject).toBe('Your account was deleted')
  await page.goto(`${server.url}/account`)
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
}

async function walkReset({ look, hands: { press, fill }, email }: Walk): Promise<void> {
  await press('button', 'Sign out')
  await press('link', 'Choose a new one')
  await look('reset', 'email')
  await fill('Email address', email)
  await press('button', 'Send the code')
  await look('new password', 'code')
  await fill('Code from the email', '00000000')
  await fill('New password', 'a third one for the horse')
  await press('button', 'Set the password')
  await look('new password wrong', 'code')
  await fill('Code from the email', codeFor(server.mails, email))
  await fill('New password', 'a third one for the horse')
  await press('button', 'Set the password')
}

/** Visits the shop as a person who is signed in and has no picture yet. */
async function walkShop({ look, hands: { press, fill } }: Walk): Promise<void> {
  await page.goto(`${server.url}/demo`)
  await look('shop')
  await press('button', 'Sign in with the gateway')
  await press('button', /^Cancel/)
  await page.getByText('You cancelled.').waitFor()
  await look('shop cancelled', 'state')
  await press('button', 'Sign in with the gateway')
  await fill('Address of a picture', ADA.image)
  await press('button', 'Share and continue')
  await page.getByText('Signed in. You shared:').waitFor()
  await look('shop signed in', 'state')
  await press('link', /At the gateway/)
  await look('account with apps')
  await press('button', /^Revoke the access/)
  await look('account app revoked', 'done')
  await press('link', 'See who has used your data')
  await look('access log with apps')
}

const SCHEMES = [
  ['light', 1280],
  ['dark', 360],
] as const

/** Checks the page in both colour schemes, wide and narrow, and records problems. */
function lookingAt(found: string[]): Look {
  return async (name, focused) => {
    for (const [colorScheme, width] of SCHEMES) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 740 })
      if (SCREENSHOTS !== undefined) {
        await mkdir(SCREENSHOTS, { recursive: true })
        const path = join(SCREENSHOTS, `${name.replaceAll(' ', '-')}.${colorScheme}.${width}.png`)
        await page.screenshot({ path, fullPage: true })
      }
      for (const finding of await axeFindings(page)) found.push(`${name}, ${colorScheme}: ${finding}`)
    }
    await lookPlainly(found)(name, focused)
  }
}

/** Checks only the width of the page and the focus. */
function lookPlainly(found: string[]): Look {
  return async (name, focused) => {
    const window = page.viewportSize()?.width ?? 0
    const wide = await page.evaluate<number>('document.documentElement.scrollWidth')
    if (wide > window) found.push(`${name}: ${wide} pixels wide`)
    if (focused === undefined) return
    // Chromium moves the focus shortly after the page has loaded.
    const focus = (): Promise<string> => page.evaluate<string>('document.activeElement.id')
    for (let looks = 0; looks < 100 && (await focus()) !== focused; looks += 1) await page.waitForTimeout(50)
    if ((await focus()) !== focused) found.push(`${name}: the focus is on "${await focus()}"`)
  }
}

describe('every page, in every state', () => {
  it('light and dark, wide and narrow: axe finds nothing, nothing is wider than the window, the focus is right', async () => {
    await openPage({ viewport: { width: 360, height: 740 } })
    const found: string[] = []
    const walk = { look: lookingAt(found), hands: BY_MOUSE, email: LONG.email.replace('aaaa', 'mouse') }
    await walkPages(walk)
    await walkShop(walk)
    await page.goto(`${server.url}/account`)
    await walkDelete(walk)
    expect(found).toEqual([])
  }, 600_000)

  it('without JavaScript, with only the keyboard, on a phone', async () => {
    await openPage({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } })
    const found: string[] = []
    const email = LONG.email.replace('aaaa', 'keyboard')
    const walk = { look: lookPlainly(found), hands: BY_KEYBOARD, email }
    await walkPages(walk)
    await walkDelete(walk)
    expect(found).toEqual([])
  }, 600_000)
})

describe('without JavaScript', () => {
  it('a person ticks what to share, and can use another account', async () => {
    await openPage({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } })
    const email = 'keyboard@example.org'
    await page.goto(`${await gateway(['firstname!', 'email'])}/sign-up`)
    await fillSignUp(BY_KEYBOARD, { ...ADA, email })
    await BY_KEYBOARD.press('button', 'Create an account')
    await BY_KEYBOARD.fill('Code from the email', codeFor(server.mails, email))
    await BY_KEYBOARD.press('button', 'Confirm')
    const share = page.getByRole('checkbox', { name: /Email address/ })
    await tabTo(share, 'the email address')
    await page.keyboard.press('Space')
    expect(await share.isChecked()).toBe(true)
    await BY_KEYBOARD.press('button', /^Use another account$/)
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Sign in')
  })

  it('the shop says that it needs JavaScript, and links to the gateway', async () => {
    await openPage({ javaScriptEnabled: false })
    await page.goto(`${server.url}/demo`)
    expect(await page.getByText('needs JavaScript').isVisible()).toBe(true)
    await page.getByRole('link', { name: /front page/ }).click()
    await page.getByRole('heading', { name: 'A small identity gateway' }).waitFor()
  })
})

describe('a double click', () => {
  /** The server at the return URL of the app, and the URLs of its requests. */
  let shop: Server
  let shopUrl: string
  const landed: string[] = []
  beforeAll(async () => {
    shop = createServer((req, res) => {
      if (req.url?.startsWith('/callback/') === true) landed.push(req.url)
      res.end('the shop')
    })
    await new Promise<void>((resolve) => shop.listen(0, '127.0.0.1', resolve))
    shopUrl = `http://127.0.0.1:${(shop.address() as AddressInfo).port}/callback/`
    await server.change(SHOP_POLICY, { returnUrlGuard: { mode: 'enforce', urls: [shopUrl] } })
  })
  afterAll(async () => {
    shop.closeAllConnections()
    await new Promise((resolve) => shop.close(resolve))
    await server.change(SHOP_POLICY)
  })

  for (const javaScriptEnabled of [true, false]) {
    it(`has the effect of one click, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
      await openPage({ javaScriptEnabled })
      landed.length = 0
      const twice = (name: string | RegExp): Promise<void> => page.getByRole('button', { name }).dblclick()
      const email = `twice-${javaScriptEnabled}@example.org`
      const mailsTo = (): number => server.mails.filter(({ to }) => to === email).length

      await page.goto(`${await gateway(['firstname!'], shopUrl)}/sign-up`)
      await fillSignUp(BY_MOUSE, { ...ADA, email })
      await twice('Create an account')
      await page.getByRole('heading', { name: 'Check your email' }).waitFor()
      expect(mailsTo()).toBe(1)
      await BY_MOUSE.fill('Code from the email', codeFor(server.mails, email))
      await twice('Confirm')
      await page.getByRole('heading', { name: /^Share with/ }).waitFor()
      await twice('Use another account')
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
      await BY_MOUSE.fill('Email address', email)
      await BY_MOUSE.fill('Password', ADA.password)
      await twice('Sign in')
      await page.getByRole('heading', { name: /^Share with/ }).waitFor()
      await twice('Share and continue')
      await page.waitForURL(`${shopUrl}**`)
      expect(new URL(page.url()).searchParams.get('_ukey1[result]')).toBe('authorized')
      expect(new Set(landed).size).toBe(1)

      await page.goto(await gateway(['firstname!'], shopUrl))
      await twice(/^Cancel/)
      await page.waitForURL(`${shopUrl}**`)
      expect(new URL(page.url()).searchParams.get('_ukey1[result]')).toBe('canceled')

      await page.goto(`${server.url}/account/delete`)
      await BY_MOUSE.fill('Current password', ADA.password)
      await twice('Delete my account')
      await page.getByRole('heading', { name: 'Account deleted' }).waitFor()
      expect(server.mails.filter(({ subject, to }) => to === email && /deleted/.test(subject))).toHaveLength(
        1,
      )
    })
  }
})

it('on reload after a mistake, the address of a form shows the form again', async () => {
  await openPage()
  await page.goto(await gateway())
  await BY_MOUSE.fill('Email address', 'nobody@example.org')
  await BY_MOUSE.fill('Password', 'a wrong password')
  await BY_MOUSE.press('button', 'Sign in')
  await page.getByRole('alert').waitFor()
  await page.goto(page.url())
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Sign in')
  expect(await page.getByRole('alert').count()).toBe(0)
})
