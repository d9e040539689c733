import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Secret, TOTP } from 'otpauth'
import {
  ADA,
  answerOf,
  codeFor,
  CONNECT,
  json,
  shopServer,
  signUp,
  startExampleServer,
  Visitor,
  type ExampleServer,
  type Page,
} from '../../support/example-server.ts'

let server: ExampleServer

beforeEach(async () => {
  server = await startExampleServer()
})
afterEach(() => server.close())

const shop = shopServer()
const signIn = { email: ADA.email, password: ADA.password }

async function gateway(): Promise<string> {
  const response = await shop.send(`${server.url}/auth/v2/connect`, json(CONNECT))
  return ((await response.json()) as { gateway: string }).gateway
}

/** Signs Ada in to her account in a new browser. */
async function enter(fields: Record<string, string> = signIn): Promise<{ visitor: Visitor; answer: Page }> {
  const visitor = new Visitor()
  await visitor.open(`${server.url}/account`)
  const answer = await visitor.submit('sign-in', fields)
  if (answer.location !== undefined) await visitor.follow(answer)
  return { visitor, answer }
}

const isInside = async (visitor: Visitor): Promise<boolean> =>
  (await visitor.open(`${server.url}/account`)).html.includes('<h1>Your account</h1>')

const subjects = (): string[] => server.mails.map(({ subject }) => subject)

describe('the account', () => {
  it('opens without an app, shows people their data, and records each field', async () => {
    await signUp(server, await gateway())
    server.sink.clear()
    const { visitor } = await enter()
    expect(visitor.page?.html).toContain(ADA.surname)
    const fields = server.sink.events().flatMap((event) => (event.kind === 'field' ? [event] : []))
    expect(new Set(fields.map(({ field }) => field))).toEqual(
      new Set(['firstname', 'surname', 'email', 'image', 'country', 'language']),
    )
    expect(fields.every(({ appId }) => appId === 'gateway-account')).toBe(true)
    expect(JSON.stringify(fields)).not.toContain(ADA.surname)
  })

  it('requires a sign-in on each of its pages, and does nothing before', async () => {
    await signUp(server, await gateway())
    const visitor = new Visitor()
    for (const path of ['password', 'factor', 'factor-on', 'access-log-of-tomorrow'])
      expect((await visitor.open(`${server.url}/account/${path}`)).location).toBe('/account/sign-in')
    await visitor.open(`${server.url}/account`)
    const { hidden } = visitor.form('sign-in')
    for (const path of [
      'password',
      'factor-on',
      'factor-off',
      'end-session',
      'end-other-sessions',
      'revoke-app',
    ]) {
      const answer = await fetch(`${server.url}/account/${path}`, {
        method: 'POST',
        headers: { cookie: `__Host-session=${visitor.cookie}` },
        body: new URLSearchParams(hidden),
        redirect: 'manual',
      })
      expect([answer.status, answer.headers.get('location')]).toEqual([303, '/account/sign-in'])
    }
  })

  it('is not available to a person whose data must stay elsewhere', async () => {
    const storage = (await import('../../../example-server/storage.ts')).memoryStorage()
    await server.close()
    server = await startExampleServer({ storage })
    await signUp(server, await gateway())
    const dallas = await startExampleServer({ storage, region: 'dallas', otherUrls: { london: server.url } })
    try {
      const visitor = new Visitor()
      await visitor.open(`${dallas.url}/account`)
      const answer = await visitor.submit('sign-in', signIn)
      expect(answer.status).toBe(421)
      expect(answer.html).not.toContain(ADA.surname)
      expect(answer.html).toContain(`href="${server.url}/account/sign-in"`)
      expect(dallas.sink.events().filter(({ kind }) => kind === 'field')).toEqual([])
    } finally {
      await dallas.close()
    }
  })
})

describe('sessions', () => {
  it('are listed, and can be ended one by one, or all others at once', async () => {
    await signUp(server, await gateway())
    const [mine, phone, office] = [await enter(), await enter(), await enter()].map(
      ({ visitor }) => visitor,
    ) as [Visitor, Visitor, Visitor]
    const page = await mine.open(`${server.url}/account`)
    expect(page.html.match(/name="session"/g)?.length).toBe(3) // and the one of the sign-up; the current one has no button
    await mine.follow(await mine.submit('end-session'))
    expect(mine.page?.html).toContain('The session was ended.')
    expect(await Promise.all([mine, phone, office].map(isInside))).toEqual([true, true, false])
    await mine.open(`${server.url}/account`)
    await mine.follow(await mine.submit('end-other-sessions'))
    expect(await Promise.all([mine, phone, office].map(isInside))).toEqual([true, false, false])
    expect(mine.page?.html.match(/name="session"/g)).toBeNull()
  })

  it('of other people cannot be ended', async () => {
    await signUp(server, await gateway())
    const { visitor: ada } = await enter()
    await ada.open(`${server.url}/account`)
    const other = await signUp(server, await gateway(), { ...ADA, email: 'eve@example.org' })
    const { visitor: second } = await enter({ ...signIn, email: 'eve@example.org' })
    await other.open(`${server.url}/account`)
    const theirs =
      /name="session" value="([^"]+)"/.exec((await ada.open(`${server.url}/account`)).html)?.[1] ?? ''
    expect(theirs).toMatch(/^[\w-]{43}$/)
    await second.open(`${server.url}/account`)
    await second.submit('end-session', { session: theirs })
    const left = await ada.open(`${server.url}/account`)
    expect(left.html).toContain(theirs)
  })

  it('are limited to ten per person: one more ends the oldest', async () => {
    await signUp(server, await gateway())
    const visitors: Visitor[] = []
    for (let count = 0; count < 11; count += 1) visitors.push((await enter()).visitor)
    const [oldest, ...others] = visitors
    expect(await isInside(oldest as Visitor)).toBe(false)
    expect(await isInside(others[0] as Visitor)).toBe(true)
  })

  it('are cleared from the browser at sign-out', async () => {
    await signUp(server, await gateway())
    const { visitor } = await enter()
    const cookie = visitor.cookie
    const { headers, location } = await visitor.submit('sign-out')
    expect(headers.get('clear-site-data')).toBe('"cache", "storage"')
    expect(headers.getSetCookie().join()).toMatch(/__Host-session=;.*Expires=Thu, 01 Jan 1970/)
    expect(location).toBe('/account/sign-in')
    visitor.cookie = cookie
    expect(await isInside(visitor)).toBe(false)
  })
})

describe('apps', () => {
  const tokenOf = async (
    visitor: Visitor,
  ): Promise<{ answer: Record<string, string>; exchange: () => Promise<Response> }> => {
    const answer = answerOf((await visitor.submit('consent', { email: 'yes' })).location)
    const { request_id, connect_id, code } = answer
    const exchange = (): Promise<Response> =>
      shop.send(`${server.url}/auth/v2/token`, json({ request_id, connect_id, auth_code: code }))
    return { answer, exchange }
  }
  const me = async (token: string): Promise<number> =>
    (await shop.send(`${server.url}/auth/v2/me`, { headers: { authorization: `Bearer ${token}` } })).status

  it('are listed with the shared fields; a revoked app can no longer read, by token or by code', async () => {
    const visitor = await signUp(server, await gateway())
    const first = await tokenOf(visitor)
    const { access_token } = (await (await first.exchange()).json()) as { access_token: string }
    expect(await me(access_token)).toBe(200)
    await visitor.open(await gateway())
    const second = await tokenOf(visitor) // a code that was not exchanged yet
    const page = await visitor.open(`${server.url}/account`)
    expect(page.html).toContain('Shop &#38; &#60;Sons&#62;')
    expect(page.html).toContain('can read now')
    expect(page.html).toContain('First name, Email address')
    await visitor.follow(await visitor.submit('revoke-app'))
    expect(visitor.page?.html).toContain('can no longer read your data')
    expect(visitor.page?.html).toContain('You have shared nothing')
    expect(await me(access_token)).toBe(401)
    expect((await second.exchange()).status).toBe(400)
  })

  it('of other people are not affected', async () => {
    const ada = await signUp(server, await gateway())
    const { exchange } = await tokenOf(ada)
    const { access_token } = (await (await exchange()).json()) as { access_token: string }
    const eve = await signUp(server, await gateway(), { ...ADA, email: 'eve@example.org' })
    await tokenOf(eve)
    await eve.open(`${server.url}/account`)
    await eve.submit('revoke-app', { app: 'shop' })
    expect(await me(access_token)).toBe(200)
  })
})

describe('the password', () => {
  const change = { current: ADA.password, password: 'a staple for the horse' }

  it('can be changed by a person who knows it; all other sessions end, and an email reports it', async () => {
    await signUp(server, await gateway())
    const [mine, other] = [(await enter()).visitor, (await enter()).visitor]
    await mine.open(`${server.url}/account/password`)
    const wrong = await mine.submit('password', { ...change, current: 'not the password' })
    expect(wrong.status).toBe(401)
    expect(wrong.html).toContain('href="#current"')
    const before = mine.cookie
    await mine.follow(await mine.submit('password', change))
    expect(mine.page?.html).toContain('Your password was changed')
    expect(mine.cookie).not.toBe(before)
    expect(await isInside(other)).toBe(false)
    expect(subjects()).toContain('Your password was changed')
    expect((await enter()).answer.status).toBe(401)
    expect((await enter({ ...signIn, password: change.password })).answer.status).toBe(303)
  })

  it('cannot be changed to a common or short one, or to the email address', async () => {
    await signUp(server, await gateway())
    const { visitor } = await enter()
    for (const password of ['password1234', 'qwertyuiop123', `${ADA.email}!`, 'too short']) {
      await visitor.open(`${server.url}/account/password`)
      const answer = await visitor.submit('password', { ...change, password })
      expect([password, answer.status]).toEqual([password, 400])
      expect(answer.html).toContain('href="#password"')
    }
  })

  it('can be reset by a code from an email, which works once and only in the browser that requested it', async () => {
    await signUp(server, await gateway())
    const { visitor: other } = await enter()
    const visitor = new Visitor()
    await visitor.open(`${server.url}/account/reset`)
    await visitor.follow(await visitor.submit('reset', { email: 'ADA@example.org' }))
    const form = visitor.page
    const code = codeFor(server.mails, 'ADA@example.org')
    const thief = new Visitor()
    await thief.open(`${server.url}/account/reset`)
    await thief.follow(await thief.submit('reset', { email: 'nobody@example.org' }))
    const stolen = await thief.submit('new-password', { code, password: change.password })
    expect(stolen.status).toBe(400)
    visitor.page = form
    await visitor.follow(await visitor.submit('new-password', { code, password: change.password }))
    expect(visitor.page?.html).toContain('<h1>Your account</h1>')
    expect(await isInside(other)).toBe(false)
    expect(subjects()).toContain('Your password was changed')
    const again = new Visitor()
    again.page = form
    expect((await enter()).answer.status).toBe(401)
  })

  it('reset does not reveal who has an account', async () => {
    await signUp(server, await gateway())
    const pages = await Promise.all(
      [ADA.email, 'abc@example.org'].map(async (email) => {
        const visitor = new Visitor()
        await visitor.open(`${server.url}/account/reset`)
        const sent = await visitor.submit('reset', { email })
        const shown = await visitor.follow(sent)
        const wrong = await visitor.submit('new-password', { code: '1', password: change.password })
        const same = (html: string): string => html.replaceAll(/value="[^"]*"/g, '').replaceAll(email, '')
        return [sent.status, sent.location, same(shown.html), wrong.status, same(wrong.html)]
      }),
    )
    expect(pages[0]).toEqual(pages[1])
    expect(server.mails.filter(({ to }) => to === 'abc@example.org')).toEqual([])
  })

  it('reset allows at most five wrong codes', async () => {
    await signUp(server, await gateway())
    const visitor = new Visitor()
    await visitor.open(`${server.url}/account/reset`)
    await visitor.follow(await visitor.submit('reset', { email: ADA.email }))
    const form = visitor.page
    const statuses: number[] = []
    for (let count = 0; count < 6; count += 1) {
      visitor.page = form
      statuses.push(
        (await visitor.submit('new-password', { code: `0000000${count}`, password: change.password })).status,
      )
    }
    expect(statuses).toEqual([400, 400, 400, 400, 400, 429])
    visitor.page = form
    const code = codeFor(server.mails, ADA.email)
    expect((await visitor.submit('new-password', { code, password: change.password })).status).toBe(429)
  })
})

describe('the second factor', () => {
  const keyOn = ({ html }: Page): string =>
    /class="key"><code>([A-Z2-7 ]+)</.exec(html)?.[1]?.replaceAll(' ', '') ?? ''
  const codeOf = (key: string, step = 0): string =>
    new TOTP({ secret: Secret.fromBase32(key) }).generate({ timestamp: Date.now() + step * 30_000 })

  /** Turns the second factor on in a new browser. */
  async function turnOn(): Promise<{ key: string; recovery: string[]; visitor: Visitor }> {
    const { visitor } = await enter()
    const key = keyOn(await visitor.open(`${server.url}/account/factor`))
    const page = await visitor.submit('factor-on', { code: codeOf(key), current: ADA.password })
    expect(page.status).toBe(200)
    return { key, visitor, recovery: page.html.match(/(?:[0-9a-f]{4}-){7}[0-9a-f]{4}/g) ?? [] }
  }

  it('is turned on by a code and the password, and required from then on; each code works once', async () => {
    await signUp(server, await gateway())
    const { visitor: other } = await enter()
    const { key, recovery, visitor } = await turnOn()
    expect(recovery.length).toBe(8)
    expect(await isInside(visitor)).toBe(true)
    expect(await isInside(other)).toBe(false)
    expect(subjects()).toContain('The second factor of your account was turned on')

    const { visitor: late, answer } = await enter()
    expect(answer.location).toBe('/account/second-factor')
    expect(await isInside(late)).toBe(false)
    await late.open(`${server.url}/account/second-factor`)
    const form = late.page
    expect((await late.submit('second-factor', { code: codeOf(key) })).status).toBe(401) // it has turned the factor on
    late.page = form
    expect((await late.submit('second-factor', { code: '000000' })).status).toBe(401)
    late.page = form
    await late.follow(await late.submit('second-factor', { code: codeOf(key, 1) }))
    expect(await isInside(late)).toBe(true)

    const { visitor: replay } = await enter()
    expect((await replay.submit('second-factor', { code: codeOf(key, 1) })).status).toBe(401)
  })

  it('can be replaced by a recovery code, each of which works once', async () => {
    await signUp(server, await gateway())
    const { recovery } = await turnOn()
    const [first = '', second = ''] = recovery
    for (const [code, status] of [
      [first.toUpperCase(), 303],
      [first, 401],
      [second.replaceAll('-', ' '), 303],
    ] as const) {
      const { visitor } = await enter()
      expect((await visitor.submit('second-factor', { code })).status).toBe(status)
    }
  })

  it('is required after a password reset by email', async () => {
    await signUp(server, await gateway())
    await turnOn()
    const visitor = new Visitor()
    await visitor.open(`${server.url}/account/reset`)
    await visitor.follow(await visitor.submit('reset', { email: ADA.email }))
    const code = codeFor(server.mails, ADA.email)
    const answer = await visitor.submit('new-password', { code, password: 'a staple for the horse' })
    expect(answer.location).toBe('/account/second-factor')
    expect(await isInside(visitor)).toBe(false)
  })

  it('allows at most five wrong codes per sign-in', async () => {
    await signUp(server, await gateway())
    await turnOn()
    const { visitor } = await enter()
    const form = visitor.page
    const statuses: number[] = []
    for (let count = 0; count < 6; count += 1) {
      visitor.page = form
      statuses.push((await visitor.submit('second-factor', { code: `00000${count}` })).status)
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
  })

  it('can be turned off only with the password, not just with an open browser', async () => {
    await signUp(server, await gateway())
    const { visitor } = await turnOn()
    await visitor.open(`${server.url}/account/factor`)
    const form = visitor.page
    expect((await visitor.submit('factor-off', { current: 'not the password' })).status).toBe(401)
    visitor.page = form
    await visitor.follow(await visitor.submit('factor-off', { current: ADA.password }))
    expect(visitor.page?.html).toContain('The second factor is off')
    expect(subjects()).toContain('The second factor of your account was turned off')
    expect((await enter()).answer.location).toBe('/account')
  })

  it('is stored encrypted', async () => {
    const { memoryStorage } = await import('../../../example-server/storage.ts')
    const storage = memoryStorage()
    const kept: string[] = []
    for (const method of ['put', 'add', 'putEntry', 'swap'] as const) {
      const original = storage[method] as (...args: unknown[]) => Promise<unknown>
      Object.assign(storage, {
        [method]: (...args: unknown[]) => {
          kept.push(JSON.stringify(args))
          return original(...args)
        },
      })
    }
    await server.close()
    server = await startExampleServer({ storage })
    const visitor = await signUp(server, await gateway())
    await visitor.submit('consent', { email: 'yes' })
    const { key, recovery } = await turnOn()
    const text = kept.join('\n')
    expect(text).toContain('enrolment:')
    for (const secret of [key, ...recovery, ADA.email, ADA.surname, ADA.password])
      expect(text).not.toContain(secret)
  })
})
