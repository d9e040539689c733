import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Secret, TOTP } from 'otpauth'
import { memoryStorage } from '../../../example-server/storage.ts'
import {
  ADA,
  answerOf,
  codeFor,
  CONNECT,
  json,
  keysBeside,
  shopServer,
  signUp,
  startExampleServer,
  Visitor,
  type ExampleServer,
  type Page,
} from '../../support/example-server.ts'

let server: ExampleServer
let storage: ReturnType<typeof memoryStorage>
/** Called ahead of each command to the storage; what it throws, the storage throws. */
let ahead: (method: string, key: string) => void | Promise<void>

beforeEach(async () => {
  ahead = () => undefined
  const kept = memoryStorage()
  storage = new Proxy(kept, {
    get:
      (target, method: keyof typeof kept) =>
      async (key: string, ...rest: unknown[]) => {
        await ahead(method, key)
        return (target[method] as (...args: unknown[]) => unknown)(key, ...rest)
      },
  })
  server = await startExampleServer({ storage })
})
afterEach(() => server.close())

const shop = shopServer()
const signIn = { email: ADA.email, password: ADA.password }
const PASSWORD = { current: ADA.password }

async function gateway(): Promise<string> {
  const response = await shop.send(`${server.url}/auth/v2/connect`, json(CONNECT))
  return ((await response.json()) as { gateway: string }).gateway
}

/** A browser in which somebody signs in to the account. */
async function enter(fields: Record<string, string> = signIn): Promise<{ visitor: Visitor; answer: Page }> {
  const visitor = new Visitor()
  await visitor.open(`${server.url}/account`)
  const answer = await visitor.submit('sign-in', fields)
  if (answer.location !== undefined) await visitor.follow(answer)
  return { visitor, answer }
}

const isInside = async (visitor: Visitor): Promise<boolean> =>
  (await visitor.open(`${server.url}/account`)).html.includes('<h1>Your account</h1>')

/** Opens the page and sends its form. */
async function remove(visitor: Visitor, fields: Record<string, string> = PASSWORD): Promise<Page> {
  await visitor.open(`${server.url}/account/delete`)
  return visitor.submit('delete', fields)
}

const isDeleted = ({ status, html }: Page): boolean =>
  status === 200 && html.includes('<h1>Account deleted</h1>')
const subjects = (): string[] => server.mails.map(({ subject }) => subject)

/** What the app gets for a consent that was just given. */
async function consent(visitor: Visitor): Promise<{ exchange: () => Promise<Response> }> {
  const { request_id, connect_id, code } = answerOf(
    (await visitor.submit('consent', { email: 'yes' })).location,
  )
  const body = { request_id, connect_id, auth_code: code }
  return { exchange: () => shop.send(`${server.url}/auth/v2/token`, json(body)) }
}

const tokenIn = async (response: Response): Promise<string> =>
  ((await response.json()) as { access_token: string }).access_token

const me = (token: string): Promise<Response> =>
  shop.send(`${server.url}/auth/v2/me`, { headers: { authorization: `Bearer ${token}` } })

/** Turns the second factor on, and answers with its key, the code that was used for it, and recovery codes. */
async function turnOn(visitor: Visitor): Promise<{ key: string; used: string; recovery: string[] }> {
  const { html } = await visitor.open(`${server.url}/account/factor`)
  const key = /class="key"><code>([A-Z2-7 ]+)</.exec(html)?.[1]?.replaceAll(' ', '') ?? ''
  const used = codeOf(key)
  const page = await visitor.submit('factor-on', { code: used, current: ADA.password })
  return { key, used, recovery: page.html.match(/(?:[0-9a-f]{4}-){7}[0-9a-f]{4}/g) ?? [] }
}
const codeOf = (key: string, step = 0): string =>
  new TOTP({ secret: Secret.fromBase32(key) }).generate({ timestamp: Date.now() + step * 30_000 })

describe('a person who deletes the account', () => {
  it('finds on the page what is erased and what stays; a wrong password changes nothing', async () => {
    const visitor = await signUp(server, await gateway())
    expect((await visitor.open(`${server.url}/account`)).html).toContain('href="/account/delete"')
    const { html } = await visitor.open(`${server.url}/account/delete`)
    for (const said of ['cannot be undone', 'email address', 'your sessions', 'pseudonym'])
      expect(html).toContain(said)
    expect(html).not.toContain('name="code"')
    const wrong = await visitor.submit('delete', { current: 'not the password' })
    expect(wrong.status).toBe(401)
    expect(wrong.html).toContain('href="#current"')
    expect((await visitor.submit('delete', { current: '' })).status).toBe(400)
    expect(await isInside(visitor)).toBe(true)
    expect(server.lines.join('\n')).toContain('account deletion result="wrong password"')
    expect(subjects()).not.toContain('Your account was deleted')
  })

  it('is signed out everywhere, is notified by email, and is no longer known', async () => {
    const visitor = await signUp(server, await gateway())
    const [mine, other] = [(await enter()).visitor, (await enter()).visitor]
    const page = await remove(mine)
    expect(isDeleted(page)).toBe(true)
    expect(page.headers.get('clear-site-data')).toBe('"cache", "storage"')
    const cookies = page.headers.getSetCookie().join()
    expect(cookies).toMatch(/__Host-session=;.*Expires=Thu, 01 Jan 1970/)
    expect(cookies).toMatch(/__Host-device=;.*Expires=Thu, 01 Jan 1970/)
    for (const browser of [visitor, mine, other]) expect(await isInside(browser)).toBe(false)
    expect((await enter()).answer.status).toBe(401)
    const mail = server.mails.find(({ subject }) => subject === 'Your account was deleted')
    expect(mail?.to).toBe(ADA.email)
    const lines = server.lines.filter((line) => line.includes('account deleted'))
    expect(lines).toEqual([expect.stringMatching(/^gateway: account deleted request="[\w-]+"$/)])
  })

  it('is recorded as deleted before anything is', async () => {
    const visitor = await signUp(server, await gateway())
    const recorded: unknown[] = []
    ahead = (method, key) => {
      const isTheRecord = /^(?:person|email):/.test(key) && !/^(?:get|entries)$/.test(method)
      if (isTheRecord) recorded.push(server.sink.events().some(({ kind }) => kind === 'action'))
    }
    expect(isDeleted(await remove(visitor))).toBe(true)
    expect(recorded.length).toBeGreaterThan(2)
    expect(recorded).not.toContain(false)
    const actions = server.sink.events().flatMap((event) => (event.kind === 'action' ? [event] : []))
    expect(actions).toEqual([
      expect.objectContaining({ action: 'delete', record: 'person', purpose: 'requested by the person' }),
    ])
    expect(JSON.stringify(server.sink.events())).not.toContain(ADA.surname)
  })

  it('takes back every code and token of every app at once', async () => {
    const visitor = await signUp(server, await gateway())
    const token = await tokenIn(await (await consent(visitor)).exchange())
    expect((await me(token)).status).toBe(200)
    await visitor.open(await gateway())
    const { exchange } = await consent(visitor)
    expect(isDeleted(await remove(visitor))).toBe(true)
    const answers = [await me(token), await exchange()]
    expect(await Promise.all(answers.map((answer) => answer.json()))).toEqual([
      expect.objectContaining({ status: 401, code: 'TOKEN_INVALID' }),
      expect.objectContaining({ status: 400, code: 'CODE_INVALID' }),
    ])
  })

  it('shows a code of the second factor too, or a recovery code', async () => {
    const visitor = await signUp(server, await gateway())
    const { key, used } = await turnOn(visitor)
    expect((await visitor.open(`${server.url}/account/delete`)).html).toContain('name="code"')
    expect((await visitor.submit('delete', PASSWORD)).status).toBe(400)
    for (const code of ['000000', used]) {
      const wrong = await remove(visitor, { ...PASSWORD, code })
      expect([wrong.status, wrong.html.includes('href="#code"')]).toEqual([401, true])
    }
    expect(isDeleted(await remove(visitor, { ...PASSWORD, code: codeOf(key, 1) }))).toBe(true)

    const again = await signUp(server, await gateway())
    const { recovery } = await turnOn(again)
    expect(isDeleted(await remove(again, { ...PASSWORD, code: recovery[0] ?? '' }))).toBe(true)
  })

  it('has ten wrong passwords, and five wrong codes', async () => {
    const { visitor } = (await signUp(server, await gateway()), await enter())
    const statuses: number[] = []
    for (let count = 0; count < 11; count += 1)
      statuses.push((await remove(visitor, { current: `wrong ${count}` })).status)
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429])
    expect((await remove(visitor)).status).toBe(429)

    const { visitor: other } = await enter()
    await turnOn(other)
    const codes: number[] = []
    for (let count = 0; count < 6; count += 1)
      codes.push((await remove(other, { ...PASSWORD, code: `00000${count}` })).status)
    expect(codes).toEqual([401, 401, 401, 401, 401, 429])
  })

  it('needs a sign-in and a form of ours', async () => {
    const ada = await signUp(server, await gateway())
    const stranger = new Visitor()
    expect((await stranger.open(`${server.url}/account/delete`)).location).toBe('/account/sign-in')
    await stranger.open(`${server.url}/account`)
    const { hidden } = stranger.form('sign-in')
    const send = (cookie: string | undefined, body: Record<string, string>): Promise<Response> =>
      fetch(`${server.url}/account/delete`, {
        method: 'POST',
        headers: { cookie: `__Host-session=${cookie}`, 'sec-fetch-site': 'same-origin' },
        body: new URLSearchParams(body),
        redirect: 'manual',
      })
    const answer = await send(stranger.cookie, { ...hidden, ...PASSWORD })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/account/sign-in'])
    expect((await send(ada.cookie, { ...PASSWORD, csrf: 'A'.repeat(43) })).headers.get('location')).toBe(
      '/account',
    )
    expect(await isInside(ada)).toBe(true)
  })

  it('clicks twice, and sees that it is done', async () => {
    const visitor = await signUp(server, await gateway())
    const { key } = await turnOn(visitor)
    const twice = new Visitor()
    twice.cookie = visitor.cookie
    for (const each of [visitor, twice]) await each.open(`${server.url}/account/delete`)
    const fields = { ...PASSWORD, code: codeOf(key, 1) }
    const pages = await Promise.all([visitor, twice].map((each) => each.submit('delete', fields)))
    expect(pages.map(isDeleted)).toEqual([true, true])
    expect(subjects().filter((subject) => subject === 'Your account was deleted')).toHaveLength(1)
  })

  it('clicks again when all is over, and sees that it is done', async () => {
    const visitor = await signUp(server, await gateway())
    await visitor.open(`${server.url}/account/delete`)
    const [form, cookie] = [visitor.page, visitor.cookie]
    expect(isDeleted(await visitor.submit('delete', PASSWORD))).toBe(true)
    visitor.page = form
    visitor.cookie = cookie
    expect(isDeleted(await visitor.submit('delete', PASSWORD))).toBe(true)
  })
})

describe('an address whose account was deleted', () => {
  it('is free for a new person, who has nothing of the old one', async () => {
    const first = await signUp(server, await gateway())
    await (await consent(first)).exchange()
    const { visitor: known } = await enter()
    const [device, session] = [known.device, known.cookie]
    const late = new Visitor()
    await late.open(`${server.url}/account/reset`)
    await late.follow(await late.submit('reset', { email: ADA.email }))
    const code = codeFor(server.mails, ADA.email)
    expect(isDeleted(await remove(first))).toBe(true)

    const profile = { ...ADA, surname: 'Byron', password: 'a staple for the horse' }
    const again = await signUp(server, await gateway(), profile)
    await again.open(`${server.url}/account`)
    expect(again.page?.html).toContain('Byron')
    expect(again.page?.html).toContain('You have shared nothing')
    expect(again.page?.html).not.toContain(ADA.surname)
    expect(again.page?.html).not.toContain('name="session"')
    const accesses = (await again.open(`${server.url}/account/access-log`)).html
    expect(accesses).not.toContain('Why: granted to the app')

    // The code of a mail, the session and the device cookie are of the old person.
    expect((await late.submit('new-password', { code, password: 'a third one for the horse' })).status).toBe(
      400,
    )
    known.cookie = session
    expect(await isInside(known)).toBe(false)
    expect((await enter()).answer.status).toBe(401)
    server.mails.length = 0
    known.device = device
    await known.open(`${server.url}/account`)
    const answer = await known.submit('sign-in', { email: ADA.email, password: profile.password })
    expect(answer.status).toBe(303)
    expect(subjects()).toEqual(['Sign-in from a new browser'])
  })
})

describe('a deletion that is interrupted', () => {
  /** How many writes a whole deletion has. */
  async function writesOf(visitor: Visitor): Promise<string[]> {
    const writes: string[] = []
    ahead = (method, key) => {
      if (!/^(?:get|entries)$/.test(method)) writes.push(`${method} ${key.split(':')[0]}`)
    }
    expect(isDeleted(await remove(visitor))).toBe(true)
    ahead = () => undefined
    return writes
  }

  /** From the write of this number on the storage does not answer. */
  function failFrom(number: number): void {
    let count = 0
    ahead = async (method) => {
      if (!/^(?:get|entries)$/.test(method)) count += 1
      if (count < number) return
      const { StorageUnavailable } = await import('../../../example-server/storage.ts')
      throw new StorageUnavailable('away')
    }
  }

  it('at any write, is a person as before, or one whom nobody reads, and is finished by the next try', async () => {
    const first = await signUp(server, await gateway())
    await consent(first)
    const writes = await writesOf(first)
    expect(writes.length).toBeGreaterThan(8)
    for (let number = 1; number <= writes.length; number += 1) {
      const profile = { ...ADA, email: `ada-${number}@example.org` }
      const { email, password } = profile
      const visitor = await signUp(server, await gateway(), profile)
      const token = await tokenIn(await (await consent(visitor)).exchange())
      await visitor.open(await gateway())
      await consent(visitor)
      await visitor.open(`${server.url}/account/delete`)
      const [form, cookie] = [visitor.page, visitor.cookie]
      failFrom(number)
      const { status } = await visitor.submit('delete', PASSWORD)
      ahead = () => undefined
      // What is done last, after the deletion, may be missing without anybody's notice.
      expect([200, 503]).toContain(status)
      const isWhole = (await me(token)).status === 200
      const { answer, visitor: other } = await enter({ email, password })
      expect([number, answer.status]).toEqual([number, isWhole ? 303 : 401])
      expect([number, await isInside(other)]).toEqual([number, isWhole])
      visitor.page = form
      visitor.cookie = cookie
      // By the person, or, where the session is over, by the sign-in above.
      const again = await visitor.submit('delete', PASSWORD)
      expect([number, isDeleted(again) || again.location === '/account/sign-in']).toEqual([number, true])
      expect((await enter({ email, password })).answer.status).toBe(401)
      await signUp(server, await gateway(), profile)
    }
  }, 300_000)

  /** A person whose record is closed, but not erased. */
  async function interrupted(): Promise<{ visitor: Visitor; writes: readonly string[] }> {
    const visitor = await signUp(server, await gateway())
    await visitor.open(`${server.url}/account/delete`)
    const [form, cookie] = [visitor.page, visitor.cookie]
    let isClosed = false
    ahead = async (method, key) => {
      if (isClosed && method !== 'get') throw new (await storageUnavailable())('away')
      if (method === 'swap' && key.startsWith('person:')) isClosed = true
    }
    expect((await visitor.submit('delete', PASSWORD)).status).toBe(503)
    const writes: string[] = []
    ahead = (method, key) => void writes.push(`${method} ${key.split(':')[0]}`)
    visitor.page = form
    visitor.cookie = cookie
    return { visitor, writes }
  }

  it('is finished by the same form', async () => {
    const { visitor, writes } = await interrupted()
    expect(isDeleted(await visitor.submit('delete', PASSWORD))).toBe(true)
    expect(writes).toEqual(expect.arrayContaining(['discard person', 'discard email']))
  })

  it.each([
    ['sign-in', 401],
    ['reset', 303],
    ['sign-up', 303],
  ])('is finished by a %s with the address, whoever tries it', async (action, status) => {
    const { writes: left } = await interrupted()
    const stranger = new Visitor()
    await stranger.open(`${server.url}/account/${action}`)
    expect((await stranger.submit(action, ADA)).status).toBe(status)
    expect(left).toEqual(expect.arrayContaining(['discard person', 'discard email']))
    ahead = () => undefined
    expect((await signUp(server, await gateway())).page?.html).toContain('<h1>Share with')
  })
})

const storageUnavailable = async () => (await import('../../../example-server/storage.ts')).StorageUnavailable

describe('a deletion beside something else', () => {
  /** Runs `meanwhile` once, ahead of the first command of this kind. */
  function once(method: string, kind: string, meanwhile: () => Promise<unknown>): () => boolean {
    let ran = false
    ahead = async (asked, key) => {
      if (ran || asked !== method || !key.startsWith(kind)) return
      ran = true
      await meanwhile()
    }
    return () => ran
  }
  /** Everything that names the person still, or was sealed for the person. */
  async function left(id: string): Promise<string[]> {
    const lists = await Promise.all(
      ['grants', 'sessions'].map(
        async (kind) => [kind, (await storage.entries(`${kind}:${id}`)).size] as const,
      ),
    )
    const record = await storage.get(`person:${id}`)
    return [...lists.flatMap(([kind, size]) => (size > 0 ? [kind] : [])), ...(record ? ['record'] : [])]
  }
  /** How many people have a key. */
  async function peopleWithKeys(): Promise<number> {
    const names: string[] = []
    for await (const some of keysBeside(storage).names()) names.push(...some)
    return names.length
  }
  async function signedUp(): Promise<{ visitor: Visitor; id: string; deleter: Visitor }> {
    let id = ''
    ahead = (method, key) => {
      if (method === 'add' && key.startsWith('person:')) id = key.slice('person:'.length)
    }
    const visitor = await signUp(server, await gateway())
    ahead = () => undefined
    const deleter = (await enter()).visitor
    await deleter.open(`${server.url}/account/delete`)
    return { visitor, id, deleter }
  }

  it('of the same person in another browser', async () => {
    const { visitor, id, deleter } = await signedUp()
    await visitor.open(`${server.url}/account/delete`)
    const pages = await Promise.all([visitor, deleter].map((each) => each.submit('delete', PASSWORD)))
    expect(pages.map(isDeleted)).toEqual([true, true])
    expect(await left(id)).toEqual([])
  })

  it('of the same person, at any read of the record: no right password is called wrong', async () => {
    let reads = 0
    for (let number = 1; reads >= number - 1; number += 1) {
      const profile = { ...ADA, email: `ada-${number}@example.org` }
      const visitor = await signUp(server, await gateway(), profile)
      const { email, password } = profile
      const deleter = (await enter({ email, password })).visitor
      for (const each of [visitor, deleter]) await each.open(`${server.url}/account/delete`)
      reads = 0
      ahead = async (method, key) => {
        if (method !== 'get' || !key.startsWith('person:') || reads === number) return
        reads += 1
        if (reads === number) await deleter.submit('delete', PASSWORD)
      }
      const page = await visitor.submit('delete', PASSWORD)
      ahead = () => undefined
      expect([number, isDeleted(page) || page.location === '/account/sign-in']).toEqual([number, true])
      if (reads < number) expect(number).toBeGreaterThan(2)
    }
  })

  it('a sign-in: no session begins', async () => {
    const { id, deleter } = await signedUp()
    const visitor = new Visitor()
    await visitor.open(`${server.url}/account`)
    const ran = once('put', 'session:', async () =>
      expect(isDeleted(await deleter.submit('delete', PASSWORD))).toBe(true),
    )
    const answer = await visitor.submit('sign-in', signIn)
    expect([ran(), answer.status]).toEqual([true, 303])
    expect([await left(id), await peopleWithKeys()]).toEqual([[], 0])
    expect(await isInside(visitor)).toBe(false)
  })

  it('a consent: no code and no grant is left', async () => {
    const { visitor, id, deleter } = await signedUp()
    const ran = once('put', 'code:', async () =>
      expect(isDeleted(await deleter.submit('delete', PASSWORD))).toBe(true),
    )
    const answer = await visitor.submit('consent', { email: 'yes' })
    expect([ran(), answer.status]).toEqual([true, 410])
    expect(answer.html).toContain('This account was deleted')
    expect(await left(id)).toEqual([])
  })

  it('a consent that fills in the picture: no new key and no record is made', async () => {
    const lacking = { ...ADA, image: '' }
    const visitor = await signUp(server, await gateway(), lacking)
    const { visitor: deleter } = await enter()
    await deleter.open(`${server.url}/account/delete`)
    const ran = once('swap', 'person:', async () =>
      expect(isDeleted(await deleter.submit('delete', PASSWORD))).toBe(true),
    )
    const answer = await visitor.submit('consent', { 'image-address': ADA.image })
    expect([ran(), answer.status]).toEqual([true, 410])
    expect(await peopleWithKeys()).toBe(0)
  })

  it('a sign-up with the same address: the new person keeps it', async () => {
    const { deleter } = await signedUp()
    const profile = { ...ADA, password: 'a staple for the horse' }
    const ran = once('discard', 'email:', async () => {
      // The sign-in of a stranger finishes what the deletion has begun, and the address is free.
      expect((await enter()).answer.status).toBe(401)
      await signUp(server, await gateway(), profile)
    })
    expect(isDeleted(await deleter.submit('delete', PASSWORD))).toBe(true)
    expect(ran()).toBe(true)
    expect((await enter({ ...signIn, password: profile.password })).answer.status).toBe(303)
  })

  it('an exchange of a code: the token reads nothing', async () => {
    const { visitor, deleter } = await signedUp()
    const { exchange } = await consent(visitor)
    const ran = once('add', 'token:', async () =>
      expect(isDeleted(await deleter.submit('delete', PASSWORD))).toBe(true),
    )
    const answer = await exchange()
    expect([ran(), answer.status]).toEqual([true, 400])

    const again = await signedUp()
    const { exchange: other } = await consent(again.visitor)
    const token = await tokenIn(await other())
    ahead = () => undefined
    const meanwhile = once('get', 'person:', async () =>
      expect(isDeleted(await again.deleter.submit('delete', PASSWORD))).toBe(true),
    )
    expect((await me(token)).status).toBe(401)
    expect(meanwhile()).toBe(true)
  })

  it('a change of the password: nothing comes back', async () => {
    const { visitor, id, deleter } = await signedUp()
    await visitor.open(`${server.url}/account/password`)
    const ran = once('swap', 'person:', async () =>
      expect(isDeleted(await deleter.submit('delete', PASSWORD))).toBe(true),
    )
    const change = { current: ADA.password, password: 'a staple for the horse' }
    expect([(await visitor.submit('password', change)).status, ran()]).toEqual([410, true])
    expect(await left(id)).toEqual([])
    expect((await enter({ ...signIn, password: change.password })).answer.status).toBe(401)
  })

  it('a change of the password that was faster: nothing is deleted', async () => {
    const { visitor, deleter } = await signedUp()
    await visitor.open(`${server.url}/account/password`)
    const change = { current: ADA.password, password: 'a staple for the horse' }
    const ran = once('swap', 'person:', async () =>
      expect((await visitor.submit('password', change)).status).toBe(303),
    )
    const answer = await deleter.submit('delete', PASSWORD)
    expect([ran(), answer.status]).toEqual([true, 409])
    expect(answer.html).toContain('Nothing was deleted')
    expect((await enter({ ...signIn, password: change.password })).answer.status).toBe(303)
    expect(subjects()).not.toContain('Your account was deleted')
  })

  it('many things at once, in any order: no fault of ours, and nothing is left', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { visitor, id, deleter } = await signedUp()
      const { exchange } = await consent(visitor)
      await visitor.open(await gateway())
      const [browser, changer] = [new Visitor(), (await enter()).visitor]
      await browser.open(`${server.url}/account`)
      await changer.open(`${server.url}/account/password`)
      const change = { current: ADA.password, password: 'a staple for the horse' }
      const [deleted, ...answers] = await Promise.all([
        deleter.submit('delete', PASSWORD),
        visitor.submit('consent', { email: 'yes' }),
        browser.submit('sign-in', signIn),
        changer.submit('password', change),
        exchange(),
      ])
      expect(answers.filter(({ status }) => status >= 500)).toEqual([])
      expect([200, 409, 303]).toContain(deleted.status)
      if (!isDeleted(deleted)) {
        const { visitor: again } = await enter({ ...signIn, password: change.password })
        expect(isDeleted(await remove(again, { current: change.password }))).toBe(true)
      }
      expect([await left(id), await peopleWithKeys()]).toEqual([[], 0])
    }
  })
})
