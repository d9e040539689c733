import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import {
  ADA,
  CONNECT,
  json,
  shopServer,
  signUp,
  startExampleServer,
  type Visitor,
  type ExampleServer,
} from '../../support/example-server.ts'

const TOKEN = 'the token of the operator, which is long'
const BOB = { ...ADA, email: 'bob@example.org' }

let server: ExampleServer

beforeEach(async () => {
  server = await startExampleServer({
    consoleToken: TOKEN,
    appFields: new Map([['shop', ['firstname', 'email']]]),
  })
})
afterEach(() => server.close())

const connect = (scope: string): Promise<Response> =>
  shopServer().send(`${server.url}/auth/v2/connect`, json({ ...CONNECT, scope }))

async function signedIn(profile: typeof ADA): Promise<Visitor> {
  const { gateway } = (await (await connect('firstname! email')).json()) as { gateway: string }
  return signUp(server, gateway, profile)
}

const isInside = async (visitor: Visitor): Promise<boolean> =>
  (await visitor.open(`${server.url}/account`)).html.includes('<h1>Your account</h1>')

const end = (body: unknown, token = TOKEN): Promise<Response> =>
  fetch(`${server.url}/operator/end-sessions`, json(body, { authorization: `Bearer ${token}` }))

describe('an operator', () => {
  it('can end all sessions of one person, and of nobody else', async () => {
    const [ada, bob] = [await signedIn(ADA), await signedIn(BOB)]
    expect((await end({ email: ADA.email.toUpperCase() })).status).toBe(204)
    expect([await isInside(ada), await isInside(bob)]).toEqual([false, true])
    expect(server.lines.join('\n')).toContain('sessions ended by="operator" of="one person"')
    expect(server.lines.join('\n')).not.toContain(ADA.email)
  })

  it('can end the sessions of everybody, who can then sign in again', async () => {
    const visitors = [await signedIn(ADA), await signedIn(BOB)]
    expect((await end({ all: true })).status).toBe(204)
    for (const visitor of visitors) expect(await isInside(visitor)).toBe(false)
    const [ada] = visitors
    // The new session must begin in a later millisecond.
    await new Promise((resolve) => setTimeout(resolve, 2))
    await ada?.follow((await ada.submit('sign-in', { email: ADA.email, password: ADA.password })) ?? {})
    expect(ada !== undefined && (await isInside(ada))).toBe(true)
  })

  it('gets an error that says what is wrong', async () => {
    for (const body of [{}, [], { all: false }, { email: 1 }, { email: ADA.email, all: true }])
      expect(await (await end(body)).json()).toMatchObject({ status: 400, code: 'INVALID_REQUEST' })
    expect((await end({ email: 'nobody@example.org' })).status).toBe(404)
  })

  it('is refused without the token', async () => {
    const ada = await signedIn(ADA)
    for (const token of ['', 'x', `${TOKEN}x`, TOKEN.toUpperCase()])
      expect(await (await end({ all: true }, token)).json()).toMatchObject({ code: 'TOKEN_INVALID' })
    expect(await isInside(ada)).toBe(true)
  })
})

describe('an app', () => {
  it('can request only fields that the operator has allowed', async () => {
    const answer = await connect('firstname! email surname image!')
    expect([answer.status, await answer.json()]).toEqual([
      403,
      expect.objectContaining({
        code: 'SCOPE_NOT_ALLOWED',
        errors: [{ path: 'scope', message: 'without surname, image' }],
      }),
    ])
    expect((await connect('firstname email!')).status).toBe(200)
  })

  it('that the operator has not named can request nothing', async () => {
    await server.close()
    server = await startExampleServer({ appFields: new Map() })
    expect((await connect('email')).status).toBe(403)
  })
})
