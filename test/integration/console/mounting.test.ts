import { createServer, request } from 'node:http'
import express from 'express'
// @ts-expect-error -- the package of another version has no types of its own
import express4 from 'express4'
import { afterAll, describe, expect, it } from '@jest/globals'
import { ConfigError, memoryAuditSink, memoryStore } from 'portcullis'
import { consoleTokens, createConsole, memoryConsoleState } from 'portcullis/console'
import { DASHBOARD_FILES } from '../../../src/console/dashboard-files.ts'
import { bundleDashboard, isKept } from '../../../scripts/dashboard-bundle.ts'
import { repository } from '../../support/commands.ts'
import { listening, startConsole, tokenFor, type ConsoleServer } from '../../support/console.ts'

const open: ConsoleServer[] = []
afterAll(() => Promise.all(open.map((server) => server.close())))

const GOOD = {
  store: memoryStore(),
  sink: memoryAuditSink(),
  pseudonymKey: new Uint8Array(32),
  authorize: () => undefined,
}

describe('options', () => {
  const wrong: readonly (readonly [string, object | undefined, RegExp])[] = [
    [
      'nothing',
      undefined,
      /`createConsole` takes an object with at least `store`, `authorize`, `sink`, `pseudonymKey`/,
    ],
    [
      'no authorize',
      { ...GOOD, authorize: undefined },
      /createConsole\.authorize` is missing.*consoleTokens/,
    ],
    [
      'authorize: true',
      { ...GOOD, authorize: true },
      /createConsole\.authorize` must be a function.*got true/,
    ],
    [
      'a store that cannot be written',
      { ...GOOD, store: { read: () => undefined } },
      /createConsole\.store` must be a managed store/,
    ],
    ['no sink', { ...GOOD, sink: undefined }, /createConsole\.sink` is missing/],
    [
      'a short key',
      { ...GOOD, pseudonymKey: new Uint8Array(8) },
      /pseudonymKey` must be at least 32 bytes, got a value that is not shown here, because it may be secret/,
    ],
    [
      'a key as a string',
      { ...GOOD, pseudonymKey: 'secret' },
      /pseudonymKey` must be at least 32 bytes, got a value that is not shown here, because it may be secret/,
    ],
    [
      'a state that cannot write',
      { ...GOOD, state: { read: () => undefined } },
      /createConsole\.state` must be/,
    ],
    [
      'signInUrl: a script',
      { ...GOOD, signInUrl: 'javascript:alert(1)' },
      /createConsole\.signInUrl` must be a path that begins with one `\/`/,
    ],
    [
      'signInUrl: another host without a scheme',
      { ...GOOD, signInUrl: '//evil.example/' },
      /createConsole\.signInUrl` must be a path/,
    ],
    [
      'idleTimeout: 0',
      { ...GOOD, idleTimeout: 0 },
      /createConsole\.idleTimeout` must be a whole number of milliseconds from 1000/,
    ],
    ['an unknown option', { ...GOOD, autorize: 1 }, /unknown option `autorize`: did you mean `authorize`\?/],
  ]
  it.each(wrong)('%s is refused at once', (_name, options, message) => {
    expect(() => createConsole(options as never)).toThrow(ConfigError)
    expect(() => createConsole(options as never)).toThrow(message)
  })

  const tokens: readonly (readonly [string, unknown, RegExp])[] = [
    ['an empty array', [], /at least one/],
    [
      'a short token',
      [{ token: 'short', name: 'ada' }],
      /consoleTokens\[0\]\.token` must be a string of at least 32 characters, got a value that is not shown here, because it may be secret/,
    ],
    ['no name', [{ token: 'x'.repeat(32) }], /consoleTokens\[0\]\.name` is missing/],
    [
      'an unknown right',
      [{ token: 'x'.repeat(32), name: 'ada', rights: ['all'] }],
      /consoleTokens\[0\]\.rights` must be/,
    ],
  ]
  it.each(tokens)('consoleTokens refuses %s', (_name, given, message) => {
    expect(() => consoleTokens(given as never)).toThrow(message)
  })
})

describe('the mount path', () => {
  for (const [name, app] of [
    ['Express 5', express()],
    ['Express 4', express4() as unknown as ReturnType<typeof express>],
  ] as const) {
    it(`${name}: a path without a trailing slash redirects to the page, whose links are all relative`, async () => {
      const server = await startConsole({ app })
      open.push(server)
      const page = await fetch(server.url)
      expect(page.url).toBe(`${server.url}/`)
      const html = await page.text()
      const names = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, target = '']) => target)
      expect(names.length).toBeGreaterThan(2)
      for (const target of names) {
        expect(target).toMatch(/^\.\//)
        const file = await fetch(new URL(target, page.url))
        expect([target, file.status]).toEqual([target, 200])
      }
      const client = await server.signIn()
      expect((await client.ask('GET', 'apps')).body.apps).toMatchObject([{ appId: 'shop' }])
    })
  }

  it('node:http serves it at the root without a framework', async () => {
    const handler = createConsole({ ...GOOD, store: memoryStore() })
    const server = createServer((req, res) => handler(req, res, () => res.writeHead(418).end()))
    const url = await listening(server)
    expect((await fetch(url)).headers.get('content-type')).toContain('text/html')
    expect((await fetch(`${url}/api/session`)).status).toBe(200)
    expect((await fetch(`${url}/nowhere`)).status).toBe(404)
    server.closeAllConnections()
    server.close()
  })

  it('a body parser of the app in front has no effect', async () => {
    const server = await startConsole({ app: express().use(express.json()) })
    open.push(server)
    const client = await server.signIn()
    expect(client.session.name).toBe('Ada')
    expect((await client.ask('POST', 'apps', { appId: 'new' })).status).toBe(201)
  })
})

describe('behind a proxy', () => {
  it('with another host name and prefix, everything works as without a proxy', async () => {
    const server = await startConsole()
    open.push(server)
    const proxy = createServer((req, res) => {
      const { hostname, port, pathname } = new URL(server.url)
      const path = `${pathname}${(req.url ?? '').replace(/^\/ops/, '')}`
      const headers = { ...req.headers, host: 'inside.internal' }
      const asked = request({ hostname, port, path, method: req.method, headers }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(res)
      })
      req.pipe(asked)
    })
    const url = `${await listening(proxy)}/ops/`
    const html = await (await fetch(url)).text()
    const script = /src="\.\/([^"]+)"/.exec(html)?.[1] ?? ''
    expect((await fetch(new URL(script, url))).status).toBe(200)
    const own = {
      origin: new URL(url).origin,
      'sec-fetch-site': 'same-origin',
      'content-type': 'application/json',
    }
    const signedIn = await fetch(new URL('api/session', url), {
      method: 'POST',
      headers: own,
      body: JSON.stringify({ token: tokenFor('widen') }),
    })
    const { csrf } = (await signedIn.json()) as { csrf: string }
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? ''
    const made = await fetch(new URL('api/apps', url), {
      method: 'POST',
      headers: { ...own, cookie, 'x-csrf-token': csrf },
      body: JSON.stringify({ appId: 'behind' }),
    })
    expect(made.status).toBe(201)
    proxy.closeAllConnections()
    proxy.close()
  })
})

describe('the responses', () => {
  it('have a strict Content Security Policy, and those of the API are never cached', async () => {
    const server = await startConsole()
    open.push(server)
    for (const path of ['/', '/nowhere', '/api/session', '/api/apps', '/icon.svg']) {
      const { headers } = await fetch(`${server.url}${path}`)
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("trusted-types 'none'")
      expect(policy).not.toContain('unsafe')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
      if (path.startsWith('/api')) expect(headers.get('cache-control')).toBe('no-store')
    }
  })

  it('use 304 for cached files, and send files uncompressed to browsers without Brotli', async () => {
    const server = await startConsole()
    open.push(server)
    const script = DASHBOARD_FILES.find(({ path }) => path.endsWith('.js'))?.path ?? ''
    const plain = await fetch(`${server.url}${script}`, { headers: { 'accept-encoding': 'gzip' } })
    const packed = await fetch(`${server.url}${script}`, { headers: { 'accept-encoding': 'gzip, br' } })
    expect([plain.headers.get('content-encoding'), packed.headers.get('content-encoding')]).toEqual([
      null,
      'br',
    ])
    expect(await packed.text()).toBe(await plain.text())
    expect(plain.headers.get('cache-control')).toContain('immutable')
    const again = await fetch(`${server.url}${script}`, {
      headers: { 'if-none-match': plain.headers.get('etag') ?? '' },
    })
    expect(again.status).toBe(304)
  })

  it('take at most 60 kB, compressed', () => {
    const size = DASHBOARD_FILES.reduce((sum, { brotli }) => sum + Buffer.from(brotli, 'base64').length, 0)
    console.info(`dashboard ${(size / 1e3).toFixed(1)} kB`)
    expect(size).toBeLessThanOrEqual(60_000)
  })

  it('match src/console/dashboard/: if not, run `npm run dashboard`', async () => {
    expect(isKept(await bundleDashboard(repository))).toBe(true)
  })
})

describe('the state', () => {
  it('replaces only the expected value, and forgets at the end of a lifetime', async () => {
    let now = 0
    const state = memoryConsoleState(() => now)
    expect(await state.replace('a', undefined, 'one', 10)).toBe(true)
    expect(await state.replace('a', undefined, 'two', 10)).toBe(false)
    expect(await state.replace('a', 'two', 'three', 10)).toBe(false)
    expect(await state.replace('a', 'one', 'two', 10)).toBe(true)
    expect(await state.read('a')).toBe('two')
    now = 10
    expect(await state.read('a')).toBeUndefined()
    expect(await state.replace('a', undefined, 'three', 10)).toBe(true)
    expect(await state.replace('a', 'three', undefined, 0)).toBe(true)
    expect(await state.read('a')).toBeUndefined()
  })
})
