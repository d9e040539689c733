import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from '@jest/globals'
import { signedFetch } from 'portcullis/client'
import { repository } from '../support/commands.ts'
import { startRedis } from '../support/redis.ts'

const secret = randomBytes(32).toString('base64')
const APP = { 'x-app-id': 'example-shop' }
const started: ChildProcess[] = []

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
})

/** Starts an example, and resolves with its origin when it listens. */
async function start(
  name: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ origin: string; child: ChildProcess }> {
  const child = spawn(process.execPath, ['--import', 'tsx', join('examples', name)], {
    cwd: repository,
    env: { ...process.env, PORT: '0', APP_SECRET: secret, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const origin = /^listening on (http:\S+)$/.exec(line)?.[1]
    if (origin !== undefined) return { origin, child }
  }
  throw new Error(`examples/${name} ended before it was listening`)
}

/** The status of an answer, and the code of a refusal. */
async function told(response: Response): Promise<string> {
  const body: unknown = JSON.parse(await response.text())
  const { code } = body as { code?: string }
  return code === undefined ? String(response.status) : `${response.status} ${code}`
}

const send = signedFetch({ keyId: 'key-1', secret, appId: 'example-shop', origin: 'https://example.org' })
const json = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

/** Sends a signal, and resolves with the exit code. */
async function ends(child: ChildProcess): Promise<number | null> {
  child.kill('SIGTERM')
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

const trials: Readonly<Record<string, () => Promise<void>>> = {
  'express-minimal.ts': async () => {
    const { origin } = await start('express-minimal.ts')
    const answer = await fetch(`${origin}/auth/me`, { headers: APP })
    expect(await answer.json()).toEqual({ app: 'example-shop', address: '127.0.0.1' })
    expect(await told(await fetch(`${origin}/auth/me`))).toBe('401 APP_UNIDENTIFIED')
  },
  'protect.ts': async () => {
    const { origin, child } = await start('protect.ts')
    const body = { return_url: 'https://example.org/callback/x' }
    const answer = await send(`${origin}/auth/connect`, json(body))
    expect(await answer.json()).toEqual({ app: 'example-shop', returnUrl: body.return_url })
    const elsewhere = json({ return_url: 'https://example.com/' })
    expect(await told(await send(`${origin}/auth/connect`, elsewhere))).toBe('400 RETURN_URL_NOT_ALLOWED')
    expect(await told(await fetch(`${origin}/auth/connect`, { headers: APP }))).toBe('403 ORIGIN_REQUIRED')
    expect(await ends(child)).toBe(0)
  },
  'redis.ts': async () => {
    const redis = await startRedis()
    try {
      const { origin, child } = await start('redis.ts', {
        REDIS_URL: `redis://127.0.0.1:${redis.port}`,
        VAULT_KEY: randomBytes(32).toString('base64'),
      })
      const answer = await send(`${origin}/auth/connect`, json({}))
      expect(await answer.json()).toEqual({ app: 'example-shop', revision: 1 })
      const unsigned = await fetch(`${origin}/auth/connect`, { ...json({}), headers: APP })
      expect(await told(unsigned)).toBe('401 SIGNATURE_REQUIRED')
      expect(await ends(child)).toBe(0)
    } finally {
      await redis.stop()
    }
  },
  'behind-a-proxy.ts': async () => {
    const { origin } = await start('behind-a-proxy.ts')
    const headers = { ...APP, 'x-origin': 'https://example.org' }
    const from = (address: string): Promise<Response> =>
      fetch(`${origin}/auth/me`, { headers: { ...headers, 'x-forwarded-for': address } })
    expect(await (await from('203.0.113.7')).json()).toEqual({ app: 'example-shop', address: '203.0.113.7' })
    expect(await told(await from('198.51.100.7'))).toBe('403 ADDRESS_NOT_ALLOWED')
    expect(await told(await fetch(`${origin}/auth/me`, { headers }))).toBe('403 ADDRESS_NOT_ALLOWED')
  },
  'oauth-server.ts': async () => {
    const { origin } = await start('oauth-server.ts')
    const authorize = (uri: string): Promise<Response> => {
      const query = new URLSearchParams({ client_id: 'example-shop', redirect_uri: uri, state: 's' })
      return fetch(`${origin}/authorize?${query.toString()}`, { redirect: 'manual' })
    }
    expect(await told(await authorize('https://example.com/callback'))).toBe('400 RETURN_URL_NOT_ALLOWED')
    const location = new URL((await authorize('https://example.org/callback')).headers.get('location') ?? '')
    expect(location.href).toMatch(/^https:\/\/example\.org\/callback\?code=[\w-]+&state=s$/)
    const grant = { client_id: 'example-shop', code: location.searchParams.get('code') }
    const refused = await fetch(`${origin}/token`, json(grant))
    expect([refused.status, await refused.json()]).toEqual([401, { error: 'invalid_client' }])
    expect(await (await send(`${origin}/token`, json(grant))).json()).toMatchObject({ token_type: 'Bearer' })
    expect(await (await send(`${origin}/token`, json(grant))).json()).toEqual({ error: 'invalid_grant' })
  },
}

describe('an example', () => {
  it('has a test here, each of them', () => {
    const programs = readdirSync(join(repository, 'examples')).filter((name) => name.endsWith('.ts'))
    expect(programs.toSorted()).toEqual(Object.keys(trials).toSorted())
  })

  it.each(Object.keys(trials))('%s starts, allows good requests and refuses bad ones', async (name) => {
    await trials[name]?.()
  })
})
