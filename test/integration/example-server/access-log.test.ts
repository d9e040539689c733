import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import {
  CONNECT,
  json,
  shopServer,
  signUp,
  startExampleServer,
  Visitor,
  type ExampleServer,
} from '../../support/example-server.ts'

let server: ExampleServer

beforeEach(async () => {
  server = await startExampleServer()
})
afterEach(() => server.close())

async function gateway(): Promise<string> {
  const response = await shopServer().send(`${server.url}/auth/v2/connect`, json(CONNECT))
  return ((await response.json()) as { gateway: string }).gateway
}

const logOf = async (visitor: Visitor): Promise<string> => {
  const { html, status } = await visitor.open(`${server.url}/account/access-log`)
  expect(status).toBe(200)
  return html
}

const rows = (html: string): string[] =>
  [...html.matchAll(/<li>(.*?)<\/li>/gs)].map(([, row = '']) =>
    row
      .replaceAll(/<[^>]*>/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim(),
  )

describe('/account/access-log', () => {
  it('shows a person which fields were read, when, by which app and why', async () => {
    const ada = await signUp(server, await gateway())
    expect((await ada.open(`${server.url}/account`)).html).toContain('href="/account/access-log"')
    const html = await logOf(ada)
    const [account, consent, ...others] = rows(html)
    const moment = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d UTC`
    expect(account).toMatch(
      new RegExp(
        `^Example gateway : read First name, Last name, Email address, Picture, Citizenship, Language Why: shown to the person ${moment} , GET /account$`,
      ),
    )
    expect(consent).toMatch(
      new RegExp(
        `^Example gateway , on its page for signing in to Shop &#38; &#60;Sons&#62;: read First name, Email address, Picture Why: shown to the person ${moment} , GET /gateway/:connectId$`,
      ),
    )
    expect(others).toEqual([])
    expect(html).toContain('<a href="/account">')
    expect(html).not.toMatch(/ada@example/)
  })

  it('shows no access to the data of other people', async () => {
    await signUp(server, await gateway())
    const before = server.sink.events().length
    expect(before).toBeGreaterThan(0)
    const bob = await signUp(server, await gateway(), { ...ADA_AS_BOB })
    expect(rows(await logOf(bob))).toHaveLength(1)
  })

  it('also answers as JSON, and redirects people who are not signed in to the sign-in page', async () => {
    const url = `${server.url}/account/access-log`
    expect(await new Visitor().open(url)).toMatchObject({ status: 303, location: '/account/sign-in' })
    const ada = await signUp(server, await gateway())
    const response = await fetch(url, {
      headers: { cookie: `__Host-session=${ada.cookie}`, accept: 'application/json' },
    })
    expect(await response.json()).toEqual([
      {
        time: expect.any(String),
        requestId: expect.any(String),
        app: 'Example gateway',
        signInTo: 'Shop & <Sons>',
        what: 'read',
        fields: ['firstname', 'email', 'image'],
        why: 'shown to the person',
        operation: 'GET /gateway/:connectId',
      },
    ])
  })

  it('shows the newest hundred requests', async () => {
    const ada = await signUp(server, await gateway())
    for (let count = 0; count < 101; count += 1) await ada.open(`${server.url}/account`)
    const shown = rows(await logOf(ada))
    expect(shown).toHaveLength(100)
    expect(shown.filter((row) => row.startsWith('Example gateway'))).toHaveLength(100)
  })
})

const ADA_AS_BOB = {
  email: 'bob@example.org',
  password: 'another long password',
  firstname: 'Bob',
  surname: 'Babbage',
  country: 'GB',
  language: 'en',
}
