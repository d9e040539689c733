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

describe('/account/access-log', () => {
  it('shows a person which fields were read, when, by which app and why', async () => {
    const ada = await signUp(server, await gateway())
    expect((await ada.open(`${server.url}/account`)).html).toContain('href="/account/access-log"')
    const html = await logOf(ada)
    expect(html).toContain('<a href="/account">')
    for (const cell of ['shop', 'read', 'email', 'shown to the person'])
      expect(html).toContain(`<td>${cell}</td>`)
    expect(html).toContain('GET /gateway/:connectId')
    expect(html).not.toMatch(/ada@example/)
  })

  it('shows nobody what concerns another person', async () => {
    await signUp(server, await gateway())
    const before = server.sink.events().length
    expect(before).toBeGreaterThan(0)
    const bob = await signUp(server, await gateway(), { ...ADA_AS_BOB })
    const html = await logOf(bob)
    const own = server.sink.events().filter(({ kind }) => kind === 'field').length
    expect([...html.matchAll(/<tr><td>/g)].length).toBeGreaterThan(0)
    expect([...html.matchAll(/<tr><td>/g)].length).toBeLessThan(own)
  })

  it('answers as JSON, and 401 to somebody who is not signed in', async () => {
    const url = `${server.url}/account/access-log`
    expect((await new Visitor().open(url)).status).toBe(401)
    const ada = await signUp(server, await gateway())
    const response = await fetch(url, {
      headers: { cookie: `__Host-session=${ada.cookie}`, accept: 'application/json' },
    })
    expect(await response.json()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ app: 'shop', what: 'read', fields: ['email'], why: 'shown to the person' }),
      ]),
    )
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
