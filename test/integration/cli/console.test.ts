import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { start, type Running } from '../../support/command-line.ts'
import { KINDS, makePlace, type Place } from './stores.ts'

interface Open {
  readonly running: Running
  readonly url: string
  /** The newest printed token. */
  token(): string
  ask(method: string, path: string, body?: unknown, more?: Record<string, string>): Promise<Response>
}

async function open(place: Place, ...more: string[]): Promise<Open> {
  const env = { ...place.env, PORTCULLIS_PSEUDONYM_KEY: Buffer.alloc(32, 3).toString('base64') }
  const running = start(['console', ...place.options, ...more], { env, directory: place.directory })
  await running.said('Press Ctrl-C to stop')
  const url = running.written().split('\n')[0] ?? ''
  return {
    running,
    url,
    token: () => /token: (\S+)/.exec(running.written())?.[1] ?? '',
    ask: (method, path, body, headers = {}) =>
      fetch(`${url}api/${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
  }
}

/** Signs in, and resolves with the headers of the session. */
async function signIn({ ask, token }: Open): Promise<Record<string, string>> {
  const answer = await ask('POST', 'session', { token: token() })
  expect(answer.status).toBe(201)
  const { csrf } = (await answer.json()) as { csrf: string }
  return { cookie: answer.headers.get('set-cookie')?.split(';')[0] ?? '', 'x-csrf-token': csrf }
}

const statusFor = (url: string, host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    request(url, { headers: { host } }, (res) => {
      res.resume()
      resolve(res.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })

describe.each(KINDS)('the console of a store: %s', (kind) => {
  let place: Place
  let console: Open
  beforeAll(async () => {
    place = makePlace(kind)
    const { code, error } = await place.run('app create shop')
    if (code !== 0) throw new Error(error)
    console = await open(place, '--author', 'Ada')
  })
  afterAll(async () => {
    console.running.kill('SIGKILL')
    await place.remove()
  })

  it('listens only on this machine, under the names of this machine', async () => {
    const { url } = console
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
    const { port } = new URL(url)
    expect(await statusFor(url, `127.0.0.1:${port}`)).toBe(200)
    expect(await statusFor(url, `localhost:${port}`)).toBe(200)
    expect(await statusFor(url, `evil.example:${port}`)).toBe(421)
  })

  it('accepts each token once, writes changes, and records them', async () => {
    const first = console.token()
    const headers = await signIn(console)
    expect((await console.ask('POST', 'session', { token: first })).status).toBe(401)
    await console.running.said('token for the next sign-in: ')

    const made = await console.ask('POST', 'apps', { appId: 'fresh' }, headers)
    expect(made.status).toBe(201)
    const history = await place.run('policy history fresh --json')
    expect(JSON.parse(history.out)).toMatchObject({ revisions: [{ author: 'Ada' }] })

    const traffic = await console.ask('GET', 'apps/fresh/traffic', undefined, headers)
    expect(traffic.status).toBe(200)
    const id = made.headers.get('x-request-id') ?? ''
    const found = await console.ask('GET', `requests/${id}`, undefined, headers)
    expect(await found.json()).toMatchObject({ events: [{ operation: 'console POST /apps' }] })
  })

  it('is stopped by Ctrl-C, even while somebody follows the requests', async () => {
    const other = await open(place)
    const headers = await signIn(other)
    const tail = await other.ask('GET', 'apps/shop/tail', undefined, headers)
    expect(tail.status).toBe(200)
    other.running.kill('SIGINT')
    const { code, error } = await other.running.ended
    expect([code, error.includes('the console has stopped')]).toEqual([0, true])
    await tail.text().catch(() => undefined)
    await expect(fetch(other.url)).rejects.toThrow()
  })

  it('grants the named rights, and refuses others', async () => {
    const looking = await open(place, '--right', 'look')
    const headers = await signIn(looking)
    const refused = await looking.ask('POST', 'apps', { appId: 'no' }, headers)
    expect(refused.status).toBe(403)
    looking.running.kill('SIGTERM')
    expect((await looking.running.ended).code).toBe(0)
    const wrong = await place.run('console --right loook')
    expect([wrong.code, wrong.error.includes('did you mean `look`')]).toEqual([2, true])
  })
})
