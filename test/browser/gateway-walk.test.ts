import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { AxeResults } from 'axe-core'
import { Secret, TOTP } from 'otpauth'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createDemoApps, DEMO_APPS } from '../../example-server/demo-apps.ts'
import { memoryStorage } from '../../example-server/storage.ts'
import { launchChromium } from '../support/chromium.ts'
import {
  ADA,
  codeFor,
  CONNECT,
  json,
  SHOP_POLICY,
  shopServer,
  startExampleServer,
  type ExampleServer,
} from '../support/example-server.ts'

/** Where pictures of every page go, for whoever wants to look at them: `SCREENSHOTS=folder`. */
const SCREENSHOTS = process.env['SCREENSHOTS']
const AXE = readFileSync(
  createRequire(join(process.cwd(), 'package.json')).resolve('axe-core/axe.min.js'),
  'utf8',
)

let browser: Browser
let server: ExampleServer
let dallas: ExampleServer
let context: BrowserContext
let page: Page

/** As long as it may be, and nowhere to break. */
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
afterEach(() => context?.close())

async function gateway(scope: string[] = CONNECT.scope, return_url = CONNECT.return_url): Promise<string> {
  const body = { ...CONNECT, scope, return_url }
  const response = await shopServer().send(`${server.url}/auth/v2/connect`, json(body))
  return ((await response.json()) as { gateway: string }).gateway
}

const click = (name: string | RegExp): Promise<void> => page.getByRole('button', { name }).click()
const fill = (label: string | RegExp, text: string): Promise<void> => page.getByLabel(label).fill(text)

async function fillSignUp(profile: typeof ADA): Promise<void> {
  await fill('Email address', profile.email)
  await fill('Password', profile.password)
  await fill('First name', profile.firstname)
  await fill('Last name', profile.surname)
  await page.getByLabel('Citizenship').selectOption(profile.country)
}

/** One look at the page that is open: what axe finds, and whether it is wider than the window. */
type Look = (name: string, focused?: string) => Promise<void>

/** Every page and every state of it, one after the other. */
async function walk(look: Look, email: string): Promise<void> {
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
  await click('Sign in')
  await look('sign-in wrong', 'password')
  await page.getByRole('link', { name: 'Make an account' }).click()
  await look('sign-up', 'email')
  await fillSignUp({ ...profile, password: 'password1234' })
  await click('Make an account')
  await look('sign-up common password', 'password')
  await fillSignUp({ ...profile, country: 'US' })
  await click('Make an account')
  await look('misdirected')
  await click('Go on at the gateway in Dallas')
  await look('sign-up in dallas')
  expect(await page.getByLabel('Email address').inputValue()).toBe(email)
  expect(page.url().startsWith(dallas.url)).toBe(true)

  await page.goto(`${url}/sign-up`)
  await fillSignUp(profile)
  await click('Make an account')
  await look('confirm', 'code')
  await fill('Code from the mail', '00000000')
  await click('Confirm')
  await look('confirm wrong', 'code')
  await fill('Code from the mail', codeFor(server.mails, email))
  await click('Confirm')
  await look('consent')
  await page.evaluate(`document.querySelector('form').noValidate = true`)
  await click('Share and continue')
  await look('consent without picture', 'image-address')

  await page.goto(`${server.url}/account`)
  await look('account')
  await walkAccount(look, profile)
}

async function walkAccount(look: Look, profile: typeof ADA): Promise<void> {
  await page.getByRole('link', { name: 'Change the password' }).click()
  await look('password', 'current')
  await fill('Current password', 'a wrong password')
  await fill('New password', 'a staple for the horse')
  await click('Change the password')
  await look('password wrong', 'current')
  await fill('Current password', profile.password)
  await fill('New password', 'a staple for the horse')
  await click('Change the password')
  await look('account password changed', 'done')

  await page.getByRole('link', { name: 'Turn on a second factor' }).click()
  await look('factor')
  const key = ((await page.locator('.key').textContent()) ?? '').replaceAll(/\s/g, '')
  const totp = new TOTP({ secret: Secret.fromBase32(key) })
  await fill('Code that the app shows', '000000')
  await fill('Current password', 'a staple for the horse')
  await click('Turn it on')
  await look('factor wrong', 'code')
  await fill('Code that the app shows', totp.generate())
  await fill('Current password', 'a staple for the horse')
  await click('Turn it on')
  await look('recovery codes')
  await page.getByRole('link', { name: 'I have kept them' }).click()
  await look('account with factor')
  await click('Sign out')
  await look('sign-in to account', 'email')
  await fill('Email address', profile.email)
  await fill('Password', 'a staple for the horse')
  await click('Sign in')
  await look('second step', 'code')
  await fill('Code', '000000')
  await click('Continue')
  await look('second step wrong', 'code')
  await fill('Code', totp.generate({ timestamp: Date.now() + 30_000 }))
  await click('Continue')
  await page.getByRole('link', { name: 'Turn off the second factor' }).click()
  await look('factor off', 'current')
  await fill('Current password', 'a staple for the horse')
  await click('Turn it off')
  await look('account factor off', 'done')
  await click('Sign out')
  await page.getByRole('link', { name: 'Choose a new one' }).click()
  await look('reset', 'email')
  await fill('Email address', profile.email)
  await click('Send the code')
  await look('new password', 'code')
  await fill('Code from the mail', '00000000')
  await fill('New password', 'a third one for the horse')
  await click('Set the password')
  await look('new password wrong', 'code')
  await fill('Code from the mail', codeFor(server.mails, profile.email))
  await fill('New password', 'a third one for the horse')
  await click('Set the password')
  await walkShop(look)
}

async function walkShop(look: Look): Promise<void> {
  await page.goto(`${server.url}/demo`)
  await look('shop')
  await click('Sign in with the gateway')
  await fill('Address of a picture', ADA.image)
  await click('Share and continue')
  await page.getByText('Signed in. This is what you have shared:').waitFor()
  await look('shop signed in', 'state')
  await page.getByRole('link', { name: /See at the gateway/ }).click()
  await look('account with apps')
  await click(/^Revoke the access/)
  await look('account app revoked', 'done')
}

describe('every page, in every state', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1280, 360]) {
      it(`${colorScheme}, ${width} pixels: axe finds nothing, nothing is wider than the window, the focus is where it belongs`, async () => {
        context = await browser.newContext({ colorScheme, viewport: { width, height: 740 } })
        page = await context.newPage()
        const found: string[] = []
        const look: Look = async (name, focused) => {
          await page.waitForLoadState()
          if (SCREENSHOTS !== undefined) {
            await mkdir(SCREENSHOTS, { recursive: true })
            const path = join(SCREENSHOTS, `${name.replaceAll(' ', '-')}.${colorScheme}.${width}.png`)
            await page.screenshot({ path, fullPage: true })
          }
          await page.evaluate(AXE)
          const { violations } = await page.evaluate<AxeResults>(`axe.run({ resultTypes: ['violations'] })`)
          for (const { id, nodes } of violations) found.push(`${name}: ${id} at ${nodes[0]?.html}`)
          const wide = await page.evaluate<number>('document.documentElement.scrollWidth')
          if (wide > width) found.push(`${name}: ${wide} pixels wide`)
          const focus = await page.evaluate<string>('document.activeElement.id')
          if (focused !== undefined && focus !== focused) found.push(`${name}: the focus is on "${focus}"`)
        }
        await walk(look, LONG.email.replace('aaaa', `${colorScheme}${width}`))
        expect(found).toEqual([])
      }, 600_000)
    }
  }
})

describe('without JavaScript', () => {
  it('a person makes an account by the keyboard alone, gives consent, and signs out', async () => {
    context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } })
    page = await context.newPage()
    const email = 'keyboard@example.org'
    // A person begins to type when the cursor stands in the field.
    const cursor = (): Promise<void> => page.locator('input:focus').waitFor()
    const type = async (text: string): Promise<void> => {
      await page.keyboard.type(text)
      await page.keyboard.press('Tab')
    }
    await page.goto(`${await gateway(['firstname!', 'email'])}/sign-up`)
    await cursor()
    for (const text of [email, ADA.password, ADA.firstname, ADA.surname]) await type(text)
    await type('France')
    await page.keyboard.press('Tab') // past the language
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Check your mail' }).waitFor()
    await cursor()
    await page.keyboard.type(codeFor(server.mails, email))
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: /^Share with/ }).waitFor()
    const focus = page.locator(':focus')
    const press = async (name: RegExp): Promise<void> => {
      for (let count = 0; count < 20; count += 1) {
        await page.keyboard.press('Tab')
        if ((await focus.count()) > 0 && name.test((await focus.textContent()) ?? '')) break
      }
      await page.keyboard.press('Enter')
    }
    await press(/^Use another account$/)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await cursor()
    await type(email)
    await page.keyboard.type(ADA.password)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: /^Share with/ }).waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Space')
    expect(await page.getByRole('checkbox', { name: /Email address/ }).isChecked()).toBe(true)
  })

  it('the shop says that it needs it, and shows a way on', async () => {
    context = await browser.newContext({ javaScriptEnabled: false })
    page = await context.newPage()
    await page.goto(`${server.url}/demo`)
    expect(await page.getByText('needs JavaScript').isVisible()).toBe(true)
    await page.getByRole('link', { name: /front page/ }).click()
    await page.getByRole('heading', { name: 'An identity gateway in small' }).waitFor()
  })
})

describe('two clicks', () => {
  /** Where the app takes people back, and with which URLs they came. */
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
    it(`do what one does, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
      context = await browser.newContext({ javaScriptEnabled })
      page = await context.newPage()
      landed.length = 0
      const twice = (name: string | RegExp): Promise<void> => page.getByRole('button', { name }).dblclick()
      const email = `twice-${javaScriptEnabled}@example.org`
      const mailsTo = (): number => server.mails.filter(({ to }) => to === email).length

      await page.goto(`${await gateway(['firstname!'], shopUrl)}/sign-up`)
      await fillSignUp({ ...ADA, email })
      await twice('Make an account')
      await page.getByRole('heading', { name: 'Check your mail' }).waitFor()
      expect(mailsTo()).toBe(1)
      await fill('Code from the mail', codeFor(server.mails, email))
      await twice('Confirm')
      await page.getByRole('heading', { name: /^Share with/ }).waitFor()
      await twice('Use another account')
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
      await fill('Email address', email)
      await fill('Password', ADA.password)
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
    })
  }
})

it('an address of a form that is reloaded after a mistake shows the form again', async () => {
  context = await browser.newContext()
  page = await context.newPage()
  await page.goto(await gateway())
  await fill('Email address', 'nobody@example.org')
  await fill('Password', 'a wrong password')
  await click('Sign in')
  await page.getByRole('alert').waitFor()
  await page.goto(page.url())
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Sign in')
  expect(await page.getByRole('alert').count()).toBe(0)
})
