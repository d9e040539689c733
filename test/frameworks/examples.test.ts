import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { signedFetch } from 'portcullis/client'
import { repository, run } from '../support/commands.ts'

/** The programs in `examples/integrations`, copied to a folder in which they find their packages. */
const programs = join(repository, 'examples', 'integrations')
const secret = randomBytes(32).toString('base64')
const started: ChildProcess[] = []
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(repository, 'test', 'frameworks', '.examples-'))
  await cp(programs, folder, { recursive: true })
  const compilerOptions = {
    experimentalDecorators: true,
    lib: ['es2023', 'dom', 'dom.iterable'],
    paths: {
      portcullis: [join(repository, 'src/index.ts')],
      'portcullis/*': [join(repository, 'src/*/index.ts')],
    },
  }
  const extended = join(repository, 'tsconfig.json')
  // The extended configuration excludes these files.
  const config = { extends: extended, compilerOptions, include: ['*.ts'], exclude: [] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
})
afterAll(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
  await rm(folder, { recursive: true })
})

/** Starts a program, and resolves with its origin when it listens. */
async function start(name: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), name], {
    cwd: folder,
    env: { ...process.env, PORT: '0', APP_SECRET: secret, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const origin = /^listening on (http:\S+)$/.exec(line)?.[1]
    if (origin !== undefined) return origin
  }
  throw new Error(`${name} ended before it was listening`)
}

/** A minimal browser, which keeps cookies and does not follow redirects automatically. */
class Visitor {
  readonly #cookies = new Map<string, { readonly value: string; readonly path: string }>()

  async visit(url: string, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(url)
    const cookies = [...this.#cookies].filter(([, { path }]) => pathname.startsWith(path))
    const headers = new Headers(init.headers)
    if (cookies.length > 0)
      headers.set('cookie', cookies.map(([name, { value }]) => `${name}=${value}`).join('; '))
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      const path = /;\s*path=([^;]+)/i.exec(line)?.[1] ?? '/'
      if (value === '') this.#cookies.delete(name)
      else this.#cookies.set(name, { value, path })
    }
    return response
  }

  get cookies(): number {
    return this.#cookies.size
  }
}

/** The status of an answer, and the code of a refusal. */
async function told(response: Response | Promise<Response>): Promise<string> {
  const { status, text } = await readAll(await response)
  const code = /"code":"([A-Z_]+)"/.exec(text)?.[1]
  return code === undefined ? String(status) : `${status} ${code}`
}

async function readAll(response: Response): Promise<{ status: number; text: string }> {
  return { status: response.status, text: await response.text() }
}

const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})
const form = (fields: Record<string, string>, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  body: new URLSearchParams(fields).toString(),
})
const OURS = 'https://example.org'
const EVIL = 'https://evil.example'
const APP = { 'x-app-id': 'example-shop' }

describe('an example', () => {
  it('compiles with the types of its framework, each of them', async () => {
    const compiler = join(repository, 'node_modules', 'typescript', 'bin', 'tsc')
    expect(await run(process.execPath, [compiler, '-p', folder])).toEqual({ succeeded: true, output: '' })
  })

  it('has its tests here, each of them', () => {
    const tested = ['apollo-server.ts', 'better-auth.ts', 'nestjs.ts', 'oidc-provider.ts', 'passport.ts']
    expect(readdirSync(programs).toSorted()).toEqual(tested)
  })
})

describe('NestJS', () => {
  let origin: string
  beforeAll(async () => {
    origin = await start('nestjs.ts')
  })
  const send = signedFetch({ keyId: 'key-1', secret, appId: 'example-shop', origin: OURS })

  it('accepts signed calls through protect(), and passes on the parsed body', async () => {
    const body = { return_url: `${OURS}/callback/x`, more: [1] }
    const answer = await send(`${origin}/auth/connect`, json(body))
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { app: 'example-shop', returnUrl: body.return_url, body },
    ])
  })

  it('refuses the others with their codes', async () => {
    const connect = `${origin}/auth/connect`
    expect(await told(send(connect, json({ return_url: `${EVIL}/` })))).toBe('400 RETURN_URL_NOT_ALLOWED')
    expect(await told(fetch(connect, json({}, { ...APP, 'x-origin': OURS })))).toBe('401 SIGNATURE_REQUIRED')
    expect(await told(fetch(connect, json({}, { ...APP, 'x-origin': EVIL })))).toBe('403 ORIGIN_NOT_ALLOWED')
    expect(await told(fetch(connect, json({})))).toBe('401 APP_UNIDENTIFIED')
  })

  it('is guarded by a middleware class', async () => {
    const page = (from: string) => fetch(`${origin}/pages/me`, { headers: { ...APP, origin: from } })
    const answer = await page(OURS)
    expect(answer.headers.get('access-control-allow-origin')).toBe(OURS)
    expect(await answer.json()).toEqual({ app: 'example-shop' })
    expect(await told(page(EVIL))).toBe('403 ORIGIN_NOT_ALLOWED')
  })

  it('is guarded by functional middleware after its own parser, with the bytes that it has kept', async () => {
    const answer = await send(`${origin}/hooks`, json({ event: 'paid' }))
    expect(await answer.json()).toEqual({ app: 'example-shop', body: { event: 'paid' } })
    const changed: typeof fetch = (url, init) => fetch(url, { ...init, body: '{"event":"free"}' })
    const tampering = signedFetch({ keyId: 'key-1', secret, appId: 'example-shop', fetch: changed })
    expect(await told(tampering(`${origin}/hooks`, json({ event: 'paid' })))).toBe('401 DIGEST_MISMATCH')
    expect(await told(fetch(`${origin}/hooks`, json({ event: 'paid' }, APP)))).toBe('401 SIGNATURE_REQUIRED')
  })
})

describe('node-oidc-provider', () => {
  const clientSecret = randomBytes(32).toString('base64url')
  let origin: string
  beforeAll(async () => {
    origin = await start('oidc-provider.ts', { CLIENT_SECRET: clientSecret })
  })
  const callback = `${OURS}/callback`
  const verifier = randomBytes(32).toString('base64url')

  const question = (client: string, uri: string): Record<string, string> => ({
    client_id: client,
    redirect_uri: uri,
    response_type: 'code',
    scope: 'openid',
    state: 's',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  const authorize = (fields: Record<string, string>): string =>
    `${origin}/oidc/auth?${new URLSearchParams(fields).toString()}`

  /** Signs in and gives consent, like a person. Resolves with the final redirect. */
  async function signIn(visitor: Visitor, first: Response): Promise<URL> {
    let response = first
    for (let step = 0; step < 12; step += 1) {
      const location = response.headers.get('location')
      if (location !== null) {
        const url = new URL(location, origin)
        if (url.origin !== origin) return url
        response = await visitor.visit(url.href)
        continue
      }
      const page = await response.text()
      const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1] ?? ''
      const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1] ?? ''
      response = await visitor.visit(
        new URL(action, origin).href,
        form(prompt === 'login' ? { prompt, login: 'alice', password: 'x' } : { prompt }),
      )
    }
    throw new Error(`the sign-in does not end: ${response.status} ${await response.text().catch(() => '')}`)
  }

  const basic = (client: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(`${client}:${clientSecret}`).toString('base64')}`,
  })
  const redeem = (url: URL): Record<string, string> => ({
    grant_type: 'authorization_code',
    code: url.searchParams.get('code') ?? '',
    redirect_uri: callback,
    code_verifier: verifier,
  })

  it('signs a person in completely for a standard client', async () => {
    const visitor = new Visitor()
    const fields = question('standard-shop', callback)
    const url = await signIn(visitor, await visitor.visit(authorize(fields)))
    expect([`${url.origin}${url.pathname}`, url.searchParams.get('state')]).toEqual([callback, 's'])
    const answer = await fetch(`${origin}/oidc/token`, form(redeem(url), basic('standard-shop')))
    const tokens = (await answer.json()) as { id_token: string }
    const claims = JSON.parse(
      Buffer.from(tokens.id_token.split('.')[1] ?? '', 'base64url').toString(),
    ) as object
    expect(claims).toMatchObject({ sub: 'alice', aud: 'standard-shop', iss: `${origin}/oidc` })
  })

  it('signs a person in with a posted form, for a client that signs its token request', async () => {
    const visitor = new Visitor()
    const posted = await visitor.visit(`${origin}/oidc/auth`, form(question('signing-shop', callback)))
    const url = await signIn(visitor, posted)
    const token = `${origin}/oidc/token`
    const request = form(redeem(url), basic('signing-shop'))
    // The client secret alone is not enough.
    const unsigned = await fetch(token, request)
    expect([unsigned.status, await unsigned.json()]).toEqual([401, { error: 'invalid_client' }])
    const send = signedFetch({ keyId: 'key-1', secret })
    const wrong = form(redeem(url), { authorization: `Basic ${btoa('signing-shop:wrong')}` })
    expect(await (await send(token, wrong)).json()).toMatchObject({ error: 'invalid_client' })
    expect(await (await send(token, request)).json()).toMatchObject({ token_type: 'Bearer' })
  })

  it('redirects nobody to a foreign redirect URI, wherever it is sent and however the path is written', async () => {
    const rightful = question('standard-shop', callback)
    const foreign = question('standard-shop', `${EVIL}/callback`)
    const refused = '400 RETURN_URL_NOT_ALLOWED'
    expect(await told(fetch(authorize(foreign)))).toBe(refused)
    expect(await told(fetch(`${origin}/oidc/auth`, form(foreign)))).toBe(refused)
    expect(await told(fetch(`${authorize(rightful)}&redirect_uri=${EVIL}`))).toBe(refused)
    expect(await told(fetch(authorize(rightful), form(foreign)))).toBe(refused)
    // A missing URL is left to the provider, which requires one.
    expect(await told(fetch(authorize({ ...rightful, redirect_uri: '' })))).toBe('400')
    for (const path of ['/oidc/auth/', '/oidc/AUTH', '/oidc/%61uth', '/oidc//auth', '//oidc/auth']) {
      const response = await fetch(`${origin}${path}?${new URLSearchParams(foreign).toString()}`, {
        redirect: 'manual',
      })
      expect([path, [400, 404].includes(response.status), response.headers.get('location')]).toEqual([
        path,
        true,
        null,
      ])
    }
  })

  it('refuses unknown clients, and requests that name two clients', async () => {
    const unknown = question('nobody', callback)
    expect(await told(fetch(authorize(unknown)))).toBe('401 APP_UNKNOWN')
    const two = form(question('signing-shop', callback))
    expect(await told(fetch(authorize(question('standard-shop', callback)), two))).toBe(
      '401 APP_UNIDENTIFIED',
    )
  })
})

describe('Passport', () => {
  const password = randomBytes(12).toString('base64url')
  let origin: string
  beforeAll(async () => {
    origin = await start('passport.ts', { PASSWORD: password })
  })
  const login = (to?: string): string =>
    `${origin}/login?app=example-shop${to === undefined ? '' : `&return_url=${encodeURIComponent(to)}`}`
  const credentials = (given = password) => form({ username: 'alice', password: given }, { origin })

  it('signs a person in, and redirects to the requested return URL', async () => {
    const visitor = new Visitor()
    const page = await (await visitor.visit(login(`${OURS}/callback/a?b=1`))).text()
    const action = /action="([^"]+)"/.exec(page)?.[1] ?? ''
    expect(await (await visitor.visit(`${origin}/me`)).json()).toEqual({ name: null })
    const answer = await visitor.visit(new URL(action, origin).href, credentials())
    expect([answer.status, answer.headers.get('location')]).toEqual([303, `${OURS}/callback/a?b=1`])
    expect(await (await visitor.visit(`${origin}/me`)).json()).toEqual({ name: 'alice' })
    // The return URL was valid for one sign-in.
    expect(await told(visitor.visit(login(), credentials()))).toBe('400 RETURN_URL_REQUIRED')
  })

  it('refuses foreign return URLs, and creates no session for them', async () => {
    const visitor = new Visitor()
    for (const to of [
      `${EVIL}/`,
      '//evil.example',
      `${OURS}/callback/../x`,
      `${OURS}@evil.example/callback/`,
    ])
      expect([to, await told(visitor.visit(login(to)))]).toEqual([to, '400 RETURN_URL_NOT_ALLOWED'])
    expect(await told(visitor.visit(login()))).toBe('400 RETURN_URL_REQUIRED')
    expect(visitor.cookies).toBe(0)
  })

  it('refuses a form that another page posts, and a wrong password', async () => {
    const visitor = new Visitor()
    await visitor.visit(login(`${OURS}/callback/`))
    const foreign = form({ username: 'alice', password }, { origin: EVIL })
    expect(await told(visitor.visit(login(), foreign))).toBe('403 ORIGIN_NOT_ALLOWED')
    expect(await told(visitor.visit(login(), credentials('wrong')))).toBe('401')
    expect(await (await visitor.visit(`${origin}/me`)).json()).toEqual({ name: null })
  })
})

describe('better-auth', () => {
  let origin: string
  beforeAll(async () => {
    origin = await start('better-auth.ts')
  })
  const page = { ...APP, origin: OURS }
  const account = { name: 'Alice', email: 'alice@example.org', password: 'correct horse battery' }

  it('signs a person up, in and out completely', async () => {
    const visitor = new Visitor()
    const auth = `${origin}/api/auth`
    const preflight = await fetch(`${auth}/sign-up/email`, {
      method: 'OPTIONS',
      headers: {
        ...page,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type, x-app-id',
      },
    })
    expect([preflight.status, preflight.headers.get('access-control-allow-credentials')]).toEqual([
      204,
      'true',
    ])
    const callbackURL = `${OURS}/welcome/`
    const made = await visitor.visit(`${auth}/sign-up/email`, json({ ...account, callbackURL }, page))
    expect([made.status, made.headers.get('access-control-allow-origin')]).toEqual([200, OURS])
    const session = async (who: Visitor) =>
      (await (await who.visit(`${auth}/get-session`, { headers: page })).json()) as {
        user: { email: string }
      } | null
    expect(await session(visitor)).toMatchObject({ user: { email: account.email } })
    const again = new Visitor()
    expect(await session(again)).toBe(null)
    const signedIn = await again.visit(`${auth}/sign-in/email`, json({ ...account, callbackURL }, page))
    expect(await signedIn.json()).toMatchObject({ user: { email: account.email }, url: callbackURL })
    expect(await session(again)).toMatchObject({ user: { email: account.email } })
    expect(await told(again.visit(`${auth}/sign-out`, json({}, page)))).toBe('200')
    expect(await session(again)).toBe(null)
  })

  it('refuses foreign pages, and foreign return URLs in every parameter', async () => {
    const signIn = `${origin}/api/auth/sign-in/email`
    expect(await told(fetch(signIn, json(account, { ...APP, origin: EVIL })))).toBe('403 ORIGIN_NOT_ALLOWED')
    for (const name of ['callbackURL', 'errorCallbackURL', 'newUserCallbackURL', 'redirectTo']) {
      const body = json({ ...account, [name]: `${EVIL}/` }, page)
      expect([name, await told(fetch(signIn, body))]).toEqual([name, '400 RETURN_URL_NOT_ALLOWED'])
      const link = `${origin}/api/auth/verify-email?token=x&app=example-shop&${name}=${EVIL}`
      expect([name, await told(fetch(link, { headers: { origin: OURS } }))]).toEqual([
        name,
        '400 RETURN_URL_NOT_ALLOWED',
      ])
    }
    const twice = `{"email":"a","callbackURL":"${OURS}/welcome/","callbackURL":"${EVIL}"}`
    expect(await told(fetch(signIn, { ...json({}, page), body: twice }))).toBe('400 RETURN_URL_NOT_ALLOWED')
  })

  it('answers requests whose body it reads itself, even if nothing in it is judged', async () => {
    const wrong = json({ ...account, password: 'wrong password' }, page)
    expect(await told(fetch(`${origin}/api/auth/sign-in/email`, wrong))).toMatch(/^401 INVALID_EMAIL/)
  })
})

describe('Apollo Server', () => {
  let origin: string
  beforeAll(async () => {
    origin = await start('apollo-server.ts')
  })

  it('answers signed queries, in which resolvers see the app, and refuses others', async () => {
    const send = signedFetch({ keyId: 'key-1', secret, appId: 'example-shop' })
    const query = json({
      operationName: 'WhichApp',
      query: 'query WhichApp($of: Int!) { app double(of: $of) }',
      variables: { of: 21 },
    })
    const answer = await send(`${origin}/graphql`, query)
    expect(await answer.json()).toEqual({ data: { app: 'example-shop', double: 42 } })
    expect(await told(fetch(`${origin}/graphql`, { ...query, headers: { ...query.headers, ...APP } }))).toBe(
      '401 SIGNATURE_REQUIRED',
    )
  })
})
