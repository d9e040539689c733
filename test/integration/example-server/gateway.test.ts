import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { memoryStorage, StorageUnavailable } from '../../../example-server/storage.ts'
import { exchange } from '../../support/raw-exchange.ts'
import {
  ADA,
  answerOf,
  CALLBACK,
  CONNECT,
  json,
  SHOP,
  SHOP_POLICY,
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

async function gatewayFor(body: object = CONNECT, url = server.url): Promise<string> {
  const response = await shopServer().send(`${url}/auth/v2/connect`, json(body))
  return ((await response.json()) as { gateway: string }).gateway
}

const signIn = { email: ADA.email, password: ADA.password }

/** A page without the parts that differ for each visitor. */
const same = (html: string): string =>
  html
    .replaceAll(/value="[^"]*"/g, '')
    .replaceAll(/gateway\/[\w-]{43}/g, '')
    .replaceAll(/(?:Ada|New)@EXAMPLE\.org/g, '')

describe('a page of the gateway', () => {
  it('is protected against framing, scripts, caches and leaks, and its forms may lead to the app', async () => {
    const { headers } = await new Visitor().open(await gatewayFor())
    const policy = headers.get('content-security-policy') ?? ''
    const directives = new Map(policy.split(';').map((part) => [part.trim().split(' ')[0], part.trim()]))
    expect(directives.get('default-src')).toBe("default-src 'none'")
    expect(directives.get('frame-ancestors')).toBe("frame-ancestors 'none'")
    expect(directives.get('base-uri')).toBe("base-uri 'none'")
    expect(directives.get('form-action')).toBe(`form-action 'self' ${SHOP}`)
    expect(policy).not.toMatch(/unsafe|\*/)
    expect(headers.get('strict-transport-security')).toMatch(/max-age=\d{8}/)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toMatch(/^(no-referrer|same-origin)$/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.has('x-powered-by')).toBe(false)
  })

  it('sets a cookie that is sent only to this host over HTTPS, and is hidden from scripts', async () => {
    const { headers } = await new Visitor().open(await gatewayFor())
    const [cookie = '', ...more] = headers.getSetCookie()
    expect(more).toEqual([])
    expect(cookie).toMatch(/^__Host-\w+=[\w-]{43};/)
    for (const attribute of ['Path=/', 'HttpOnly', 'Secure', 'SameSite=Lax'])
      expect(cookie).toContain(attribute)
    expect(cookie).not.toContain('Domain')
  })

  it('escapes the input of the app and of the person', async () => {
    const visitor = await signUp(server, await gatewayFor(), {
      ...ADA,
      firstname: '<img src=x onerror=alert(1)>"',
    })
    expect(visitor.page?.html).not.toContain('<img')
    expect(visitor.page?.html).not.toContain('<Sons>')
  })

  for (const id of ['x', 'A'.repeat(43), '..%2f', '%00', 'a'.repeat(5000)]) {
    it(`does not exist for the connect id ${id.slice(0, 50)}`, async () => {
      const { status, headers } = await new Visitor().open(`${server.url}/gateway/${id}`)
      expect(status).toBe(404)
      expect(headers.get('content-type')).toMatch(/^text\/html/)
    })
  }

  it('answers broken percent-encoding with 400', async () => {
    expect((await new Visitor().open(`${server.url}/gateway/%E0%A4%A`)).status).toBe(400)
  })
})

it('answers TRACE like any unknown route, without echoing the request', async () => {
  const answer = await exchange(
    Number(new URL(server.url).port),
    'TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Secret: marker\r\n\r\n',
  )
  expect(answer).toMatch(/^HTTP\/1\.1 404 /)
  expect(answer).not.toContain('marker')
})

describe('a form', () => {
  const refused = async (
    visitor: Visitor,
    action: string,
    headers: Record<string, string>,
  ): Promise<void> => {
    const page = visitor.page
    const { status } = await visitor.submit(action, signIn, headers)
    expect(status).toBe(403)
    visitor.page = page
  }

  it('is refused without its token, with a token of another session, and without a session', async () => {
    const gateway = await gatewayFor()
    const visitor = new Visitor()
    await visitor.open(gateway)
    const stranger = new Visitor()
    await stranger.open(gateway)
    const foreign = stranger.form('sign-in').hidden['csrf'] ?? ''
    for (const csrf of ['', 'x', foreign]) {
      const page = visitor.page
      expect((await visitor.submit('sign-in', { ...signIn, csrf })).status).toBe(403)
      visitor.page = page
    }
    visitor.cookie = undefined
    await refused(visitor, 'sign-in', {})
  })

  it('is refused if a browser says that another site sent it', async () => {
    const visitor = new Visitor()
    await visitor.open(await gatewayFor())
    for (const action of ['sign-in', 'cancel']) {
      await refused(visitor, action, { origin: 'https://evil.example' })
      await refused(visitor, action, { origin: 'null' })
      await refused(visitor, action, { 'sec-fetch-site': 'cross-site' })
      await refused(visitor, action, { 'sec-fetch-site': 'same-site' })
      await refused(visitor, action, { 'sec-fetch-site': 'none' })
    }
    const own = { origin: server.url, 'sec-fetch-site': 'same-origin' }
    expect((await visitor.submit('cancel', {}, own)).status).toBe(303)
  })

  it('from before the sign-in is not valid after it, and neither is the session', async () => {
    const visitor = await signUp(server, await gatewayFor())
    const gateway = await gatewayFor()
    const other = new Visitor()
    await other.open(gateway)
    const before = { cookie: other.cookie, page: other.page }
    await other.submit('sign-in', signIn)
    expect(other.cookie).not.toBe(before.cookie)
    // The form has no effect, and leads to the page of the current session.
    other.page = before.page
    expect(await other.submit('cancel')).toMatchObject({ status: 303, location: new URL(gateway).pathname })
    expect((await other.open(gateway)).html).toContain(ADA.email)
    const thief = new Visitor()
    thief.cookie = before.cookie
    expect((await thief.open(gateway)).html).not.toContain(ADA.email)
    expect(visitor.cookie).not.toBe(other.cookie)
  })

  it('is not valid after a sign-out, and neither is the session', async () => {
    const gateway = await gatewayFor()
    const visitor = await signUp(server, gateway)
    const thief = new Visitor()
    thief.cookie = visitor.cookie
    expect((await thief.open(gateway)).html).toContain(ADA.email)
    await visitor.open(gateway)
    await visitor.submit('sign-out')
    const late = new Visitor()
    late.cookie = thief.cookie
    expect((await late.open(gateway)).html).not.toContain(ADA.email)
  })
})

describe('consent', () => {
  it('always includes the mandatory fields, whatever is sent', async () => {
    const visitor = await signUp(server, await gatewayFor())
    const { location } = await visitor.submit('consent', { firstname: 'no' })
    const { code = '', ...ids } = answerOf(location)
    const token = await shopServer().send(
      `${server.url}/auth/v2/token`,
      json({ request_id: ids['request_id'], connect_id: ids['connect_id'], auth_code: code }),
    )
    expect(await token.json()).toMatchObject({ scope: 'firstname' })
  })

  it('leaves optional fields unticked', async () => {
    const visitor = await signUp(server, await gatewayFor())
    const boxes = visitor.page?.html.match(/<input\s+type="checkbox"[^>]*>/g) ?? []
    expect(boxes.map((box) => /name="(\w+)"/.exec(box)?.[1])).toEqual(['firstname', 'email', 'image'])
    expect(boxes.filter((box) => /checked/.test(box)).length).toBe(1)
    expect(boxes[0]).toMatch(/checked disabled/)
  })

  it('asks for a mandatory picture if the account has none', async () => {
    const gateway = await gatewayFor({ ...CONNECT, scope: 'image!' })
    const visitor = await signUp(server, gateway, { ...ADA, image: '' })
    const consentPage = visitor.page
    for (const [address, status] of [
      ['', 400],
      ['http://plain.example/x.png', 400],
      ['javascript:alert(1)', 400],
    ] as const) {
      visitor.page = consentPage
      const answer = await visitor.submit('consent', { 'image-address': address })
      expect(answer.status).toBe(status)
      expect(answer.html).toContain('role="alert"')
    }
    const { location } = await visitor.submit('consent', { 'image-address': ADA.image })
    expect(answerOf(location)['result']).toBe('authorized')
  })

  it('ends the request: both clicks of a double click get the same answer, and nobody else gets one', async () => {
    const gateway = await gatewayFor()
    const visitor = await signUp(server, gateway)
    const consentPage = visitor.page
    const stranger = new Visitor()
    await stranger.open(gateway)
    const [first, second] = await Promise.all([visitor.submit('consent'), visitor.submit('consent')])
    expect([first.status, second.status]).toEqual([303, 303])
    expect(second.location).toBe(first.location)
    visitor.page = consentPage
    expect((await visitor.submit('consent')).location).toBe(first.location)
    expect((await visitor.open(gateway)).status).toBe(404)
    expect(await stranger.submit('cancel')).toMatchObject({ status: 404, location: undefined })
  })
})

describe('cancelling', () => {
  it('redirects to the app with the result and without a code, before and after the sign-in', async () => {
    const early = new Visitor()
    const gateway = await gatewayFor()
    await early.open(gateway)
    await early.open(`${gateway}/sign-up`)
    const late = await signUp(server, await gatewayFor())
    for (const visitor of [early, late]) {
      const { status, location } = await visitor.submit('cancel')
      expect(status).toBe(303)
      expect(location?.startsWith(CALLBACK)).toBe(true)
      const answer = answerOf(location)
      expect(Object.keys(answer).toSorted()).toEqual(['connect_id', 'request_id', 'result'])
      expect(answer['result']).toBe('canceled')
    }
    expect((await early.open(gateway)).status).toBe(404)
  })
})

describe('the redirect to the app', () => {
  it('uses the allowed return URL with our answer, and sends no referrer', async () => {
    const visitor = await signUp(server, await gatewayFor())
    const { location, headers, html } = await visitor.submit('cancel')
    expect(location?.startsWith(`${CALLBACK}&_ukey1%5Brequest_id%5D=request-1&_ukey1%5Bconnect_id%5D=`)).toBe(
      true,
    )
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(html).toBe('')
  })

  it('is judged by the current policy, so a return URL that was removed is refused', async () => {
    const visitor = await signUp(server, await gatewayFor())
    const consentPage = visitor.page
    await server.change(SHOP_POLICY, { returnUrlGuard: { mode: 'enforce', urls: [] } })
    for (const action of ['consent', 'cancel']) {
      visitor.page = consentPage
      const { status, location, html } = await visitor.submit(action)
      expect([status, location]).toEqual([400, undefined])
      expect(html).not.toContain('shop.example')
    }
    await server.change(SHOP_POLICY)
    visitor.page = consentPage
    expect(answerOf((await visitor.submit('consent')).location)['result']).toBe('authorized')
  })
})

describe('signing in', () => {
  it('gives the same answer to an unknown address and to a wrong password', async () => {
    await signUp(server, await gatewayFor())
    const visitor = new Visitor()
    await visitor.open(await gatewayFor())
    const unknown = await visitor.submit('sign-in', { email: 'nobody@example.org', password: ADA.password })
    const wrong = await visitor.submit('sign-in', { email: ADA.email, password: 'not the password' })
    expect([unknown.status, wrong.status]).toEqual([401, 401])
    const text = (html: string): string => html.replaceAll(/value="[^"]*"/g, '')
    expect(text(unknown.html)).toBe(text(wrong.html))
    expect(wrong.html).not.toContain('not the password')
  })

  it('accepts the address in any case and the password in any Unicode normalisation', async () => {
    const password = 'crème brûlée pour Zoë'
    await signUp(server, await gatewayFor(), { ...ADA, password: password.normalize('NFC') })
    const visitor = new Visitor()
    await visitor.open(await gatewayFor())
    const answer = await visitor.submit('sign-in', {
      email: 'ADA@Example.ORG',
      password: password.normalize('NFD'),
    })
    expect(answer.status).toBe(303)
  })

  it('allows ten wrong passwords from one network, in any spelling of the address and with any concurrency', async () => {
    await signUp(server, await gatewayFor())
    const visitor = new Visitor()
    await visitor.open(await gatewayFor())
    const page = visitor.page
    const tries = await Promise.all(
      Array.from({ length: 14 }, (_, index) => {
        visitor.page = page
        const email = index % 2 === 0 ? ADA.email : ADA.email.toUpperCase()
        return visitor.submit('sign-in', { email, password: `wrong password ${index}` })
      }),
    )
    expect(tries.filter(({ status }) => status === 401).length).toBe(10)
    const refused = tries.filter(({ status }) => status === 429)
    expect(refused.length).toBe(4)
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(800)
    visitor.page = page
    expect((await visitor.submit('sign-in', signIn)).status).toBe(429)
    expect(server.lines.join('\n')).toContain('too many attempts')
  })

  it('allows a hundred attempts from one network address, each with another email address', async () => {
    const visitor = new Visitor()
    await visitor.open(await gatewayFor())
    const page = visitor.page
    const statuses: number[] = []
    for (let count = 0; count < 101; count += 1) {
      visitor.page = page
      const answer = await visitor.submit('sign-in', { email: `nobody-${count}@example.org`, password: 'x' })
      statuses.push(answer.status)
    }
    expect(statuses.filter((status) => status === 401)).toHaveLength(100)
    expect(statuses.at(-1)).toBe(429)
  })
})

describe('creating an account', () => {
  const bad: Record<string, Record<string, string>> = {
    'a password of 11 characters': { password: 'a'.repeat(11) },
    'a password of 129 characters': { password: 'a'.repeat(129) },
    'six pictures as password, which are twelve units of UTF-16': { password: '🔑'.repeat(6) },
    'no email address': { email: 'ada' },
    'a country that is none': { country: 'ZZ' },
    'a country in words': { country: 'France' },
    'a picture by http': { image: 'http://images.example/ada.png' },
    'a picture that is a script': { image: 'javascript:alert(1)' },
    'a name of blanks': { firstname: '   ' },
    'a name that reverses what follows': { firstname: 'Ada\u202Eada' },
    'a name with a line of its own': { firstname: 'Ada\nAdmin' },
    'a name that nobody sees': { firstname: '\u200B\u2060' },
    'a picture at a private address': { image: 'https://192.168.1.1/x.png' },
    'a picture at the metadata of a cloud': { image: 'https://[::ffff:169.254.169.254]/x.png' },
    'a picture at a host of one label': { image: 'https://intranet/x.png' },
    'a picture at a name of a network at home': { image: 'https://printer.local/x.png' },
    'a picture with a password': { image: 'https://user:pass@images.example/x.png' },
    'a picture that is data': { image: 'data:image/png;base64,AAAA' },
    'a common password': { password: 'password1234' },
    'a password along the keyboard': { password: 'qwertyuiop123' },
    'a password that is the own address': { password: 'x-ADA@example.org-x' },
    'a password of the own names': { password: 'adalovelace1' },
  }
  for (const [what, fields] of Object.entries(bad)) {
    it(`refuses ${what}, keeps the input, and does not show the password`, async () => {
      const gateway = await gatewayFor()
      const visitor = new Visitor()
      await visitor.open(gateway)
      await visitor.open(`${gateway}/sign-up`)
      const { status, html } = await visitor.submit('sign-up', { ...ADA, ...fields })
      expect(status).toBe(400)
      expect(html).toContain('role="alert"')
      expect(html).toContain(`value="${ADA.surname}"`)
      expect(html).not.toContain(fields['password'] ?? ADA.password)
    })
  }

  it('accepts names in every script, and passwords with any characters', async () => {
    for (const [firstname, password] of [
      ['Zoë', 'vier Tiere tanzen Tango'],
      ['می‌نا', '🐎🔋📎🦆🌧️🚪🧲🪵🛟🧩🪁🪴'],
      ['李', 'ключ под третьим камнем'],
      ['O’Neil-Ó Briain', 'x'.repeat(3) + ' 7 geese fly south at noon'],
    ] as const) {
      const visitor = await signUp(server, await gatewayFor(), {
        ...ADA,
        email: `n${firstname.length}${password.length}@example.org`,
        firstname,
        password,
      })
      expect(visitor.page?.html).toContain(firstname)
    }
  })

  it('gives the same answer for a taken address, in any case; only its owner learns of it, by email', async () => {
    await signUp(server, await gatewayFor())
    const answers = await Promise.all(
      ['Ada@EXAMPLE.org', 'New@EXAMPLE.org'].map(async (email) => {
        const gateway = await gatewayFor()
        const visitor = new Visitor()
        await visitor.open(`${gateway}/sign-up`)
        const sent = await visitor.submit('sign-up', { ...ADA, email })
        const shown = await visitor.follow(sent)
        const wrong = await visitor.submit('confirm', { code: '00000000' })
        return [sent.status, shown.status, wrong.status, same(shown.html), same(wrong.html)]
      }),
    )
    expect(answers[0]).toEqual(answers[1])
    const subjectTo = (email: string): string[] =>
      server.mails.filter(({ to }) => to === email).map(({ subject }) => subject)
    expect(subjectTo('Ada@EXAMPLE.org')).toEqual(['You already have an account at the example gateway'])
    expect(subjectTo('New@EXAMPLE.org')).toEqual(['Your code for the example gateway'])
  })

  it('stores no readable data of a person', async () => {
    const kept = new Map<string, string>()
    const storage = memoryStorage()
    const put = storage.put
    storage.put = (key, value, lifetime) => {
      kept.set(key, value)
      return put(key, value, lifetime)
    }
    await server.close()
    server = await startExampleServer({ storage })
    await signUp(server, await gatewayFor())
    const text = [...kept].flat().join('\n')
    expect(text).toContain('redeemed-sign-up:')
    for (const value of Object.values(ADA).filter((value) => value.length > 3))
      expect(text).not.toContain(value)
    expect(text).not.toContain('example.org')
  })

  it('is refused if the data of the person must stay elsewhere', async () => {
    const gateway = await gatewayFor()
    const visitor = new Visitor()
    await visitor.open(gateway)
    await visitor.open(`${gateway}/sign-up`)
    const { status, html } = await visitor.submit('sign-up', { ...ADA, country: 'US' })
    expect(status).toBe(421)
    expect(html).toContain('Dallas')
    await expect(signUp(server, await gatewayFor())).resolves.toBeDefined() // the address is still free
  })
})

describe('an unreachable storage', () => {
  it('gives 503 with Retry-After, as a problem document to apps and a page to people, until it is back', async () => {
    const storage = memoryStorage()
    await server.close()
    server = await startExampleServer({ storage })
    const gateway = await gatewayFor()
    const { get, put } = storage
    storage.get = storage.put = async () => {
      throw new StorageUnavailable('away')
    }
    const api = await shopServer().send(`${server.url}/auth/v2/connect`, json(CONNECT))
    expect(api.status).toBe(503)
    expect(api.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(api.headers.get('retry-after')).toMatch(/^\d+$/)
    const page = await new Visitor().open(gateway)
    expect(page.status).toBe(503)
    expect(page.headers.get('content-type')).toMatch(/^text\/html/)
    expect(page.headers.get('retry-after')).toMatch(/^\d+$/)
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    Object.assign(storage, { get, put })
    expect((await new Visitor().open(gateway)).status).toBe(200)
  })

  it('includes a full memory: nothing stored is dropped, and pages that store nothing still work', async () => {
    await server.close()
    server = await startExampleServer({ storage: memoryStorage({ max: 1 }) })
    const gateway = await gatewayFor()
    const response = await shopServer().send(`${server.url}/auth/v2/connect`, json(CONNECT))
    expect(response.status).toBe(503)
    const visitor = await signUp(server, gateway)
    expect(visitor.page?.html).toContain(ADA.email)
    const other = new Visitor()
    expect((await other.open(`${gateway}/sign-in`)).status).toBe(200)
    expect((await other.submit('sign-in', signIn)).status).toBe(503) // there is no space for its session
    expect((await visitor.open(gateway)).html).toContain(ADA.email)
  })
})

describe('the pages of an app are not available', () => {
  const closed = async (gateway: string): Promise<[number, string]> => {
    const { status, html } = await new Visitor().open(gateway)
    return [status, /<form/.test(html) ? 'a form' : 'no form']
  }

  it('when its policy no longer has the audit', async () => {
    const gateway = await gatewayFor()
    expect(await closed(gateway)).toEqual([200, 'a form'])
    await server.change(SHOP_POLICY, { auditAccess: undefined })
    expect(await closed(gateway)).toEqual([503, 'no form'])
  })

  it('when its policy is gone', async () => {
    const gateway = await gatewayFor()
    await server.store.remove('shop', (await server.store.read('shop'))?.revision ?? 0)
    expect(await closed(gateway)).toEqual([503, 'no form'])
  })

  it('when its policy cannot be read', async () => {
    const gateway = await gatewayFor()
    server.failReads(true)
    // Writing the app invalidates its cached policy.
    await server.change(SHOP_POLICY)
    expect(await closed(gateway)).toEqual([503, 'no form'])
    server.failReads(false)
    expect(await closed(gateway)).toEqual([200, 'a form'])
  })
})
