import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import {
  bodyParsers,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryNonces,
  memoryStore,
  serverOnly,
  type PolicyInput,
} from 'portcullis'
import { FIXES } from '../../../src/cli/probe/fixes.ts'
import { DENIALS } from '../../../src/decision.ts'
import { portcullis, type Surrounding } from '../../support/command-line.ts'
import { run } from '../../support/commands.ts'

const folder = mkdtempSync(join(tmpdir(), 'portcullis-probe-'))
const secret = randomBytes(32).toString('base64')
const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const ed25519 = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64')
const env = { PORTCULLIS_APP_SECRET: secret }
const servers: Server[] = []

const off = { mode: 'off' } as const
const POLICY: PolicyInput = {
  appId: 'shop',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '::1'] },
  domainProtect: { mode: 'enforce', domains: ['https://shop.example'] },
  returnUrlGuard: { ...off, urls: [] },
  regionPin: off,
  auditAccess: off,
}

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth`
}

/** A service with guards. */
function guarded(policy: PolicyInput, options: { explainMismatch?: boolean } = {}): Promise<string> {
  const keys = [
    { id: 'shop-1', algorithm: 'hmac-sha256' as const, secret },
    { id: 'ed', algorithm: 'ed25519' as const, secret: ed25519 },
  ]
  const shared = {
    policies: createPolicySource({ store: memoryStore([{ policy, keys }]) }),
    logger: () => undefined,
  }
  const app = express()
  app.use(
    ipWhitelist(shared),
    domainProtect(shared),
    bodyParsers(),
    serverOnly({ ...shared, ...options, nonces: memoryNonces() }),
  )
  app.use((_req, res) => void res.json({ welcome: true }))
  return listen(app)
}

interface Found {
  readonly code: number
  readonly error: string
  /** The findings, by the name of the check. */
  readonly checks: Readonly<Record<string, { status: string; detail: string; fix?: string }>>
}

async function probe(url: string, line = '', more: Surrounding = {}): Promise<Found> {
  const ended = await portcullis(`probe ${url} --json ${line}`, { directory: folder, env, ...more })
  const { checks } = JSON.parse(ended.out) as { checks: { id: string; status: string; detail: string }[] }
  return { ...ended, checks: Object.fromEntries(checks.map((check) => [check.id, check])) }
}
const statuses = ({ checks }: Found): string =>
  Object.entries(checks)
    .map(([id, { status }]) => `${id} ${status}`)
    .join(', ')

const SIGNED = '--app shop --key-id shop-1 --origin https://shop.example'
let url = ''
beforeAll(async () => {
  url = await guarded(POLICY)
})
afterAll(() => {
  for (const server of servers) server.close().closeAllConnections()
  rmSync(folder, { recursive: true })
})

describe('portcullis probe', () => {
  it('finds nothing wrong with a correct service', async () => {
    const found = await probe(url, SIGNED)
    expect([found.code, statuses(found)]).toEqual([
      0,
      'reach pass, clock pass, unsigned pass, address pass, signature pass, digest skip, replay pass, answer pass',
    ])
    expect(found.checks['address']?.detail).toContain('sends from 127.0.0.1, a private address')
    writeFileSync(join(folder, 'body.json'), '{"a":1}')
    const posted = await probe(url, `${SIGNED} --body-file body.json`)
    expect([posted.code, statuses(posted)]).toEqual([
      0,
      expect.stringContaining('digest pass, replay skip, answer pass'),
    ])
  })

  it('signs with an Ed25519 key, and can send the app id in another header', async () => {
    writeFileSync(join(folder, 'ed.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const found = await probe(
      url,
      '--app shop --key-id ed --private-key-file ed.pem --origin https://shop.example',
    )
    expect(found.checks['signature']?.status).toBe('pass')
    const other = await probe(url, `${SIGNED} --app-header x-client`)
    expect(other.checks['answer']?.detail).toContain('APP_UNIDENTIFIED')
  })

  it('without a key, checks what it can', async () => {
    const found = await probe(url, '--app shop')
    expect(statuses(found)).toBe(
      'reach pass, clock pass, unsigned skip, address pass, signature skip, digest skip, replay skip, answer skip',
    )
    expect((await portcullis(`probe ${url} --secret-file x`)).error).toContain('`--key-id` is missing')
    expect((await portcullis(`probe ${url} --key-id x`)).error).toContain('set PORTCULLIS_APP_SECRET')
  })

  it('does not mistake a refusal for another reason for a signature check', async () => {
    const unsigned = await probe(url, '--app shop')
    expect(unsigned.checks['unsigned']).toMatchObject({
      status: 'skip',
      detail: 'refused for another reason than the missing signature: ORIGIN_REQUIRED',
    })
    const unchecked = await guarded({ ...POLICY, serverOnly: off })
    const found = await probe(unchecked, SIGNED)
    expect(found.checks['signature']).toMatchObject({
      status: 'skip',
      detail: expect.stringContaining('no answer shows that the signature was checked'),
    })
  })

  it.each([
    [
      'a wrong secret',
      SIGNED,
      { env: { PORTCULLIS_APP_SECRET: randomBytes(32).toString('base64') } },
      'signature',
      'SIGNATURE_INVALID',
    ],
    [
      'an unknown key',
      '--app shop --key-id none --origin https://shop.example',
      {},
      'signature',
      'SIGNATURE_INVALID',
    ],
    ['an unknown app', '--app none --key-id shop-1', {}, 'answer', 'APP_UNKNOWN'],
    ['a missing origin', '--app shop --key-id shop-1', {}, 'answer', 'ORIGIN_REQUIRED'],
    [
      'another origin',
      '--app shop --key-id shop-1 --origin https://other.example',
      {},
      'answer',
      'ORIGIN_NOT_ALLOWED',
    ],
  ])('finds %s, and says how to fix it', async (_what, line, more, id, code) => {
    const found = await probe(url, line, more)
    const { status, detail, fix } = found.checks[id] ?? {}
    expect([found.code, status, detail, fix]).toEqual([
      3,
      'fail',
      expect.stringContaining(code),
      FIXES[code as keyof typeof FIXES],
    ])
  })

  it('shows what the service reports about a signature in development', async () => {
    const telling = await guarded(POLICY, { explainMismatch: true })
    const found = await probe(telling, SIGNED, {
      env: { PORTCULLIS_APP_SECRET: Buffer.from(secret).toString('base64') },
    })
    expect(found.checks['signature']?.detail).toMatch(/^SIGNATURE_INVALID: .{10,}/)
  })

  it('finds an address that the service refuses', async () => {
    const elsewhere = await guarded({ ...POLICY, ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] } })
    const found = await probe(elsewhere, SIGNED)
    expect([found.code, statuses(found)]).toEqual([
      3,
      'reach pass, clock pass, unsigned skip, address fail, signature skip, digest skip, replay skip, answer fail',
    ])
    expect(found.checks['address']?.fix).toContain('ask the operator')
  })

  it('detects a proxy that changes the content, and a service that accepts a replay', async () => {
    writeFileSync(join(folder, 'body.json'), '{"a":1}')
    const changing = await listen((req, res) => {
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        const body = Buffer.concat(chunks).toString().replace('1', '2')
        const { method, headers } = req
        const { port } = new URL(url)
        request({ port, path: req.url, method, headers }, (answer) => {
          res.writeHead(answer.statusCode ?? 500, answer.headers)
          answer.pipe(res)
        }).end(body)
      })
    })
    const found = await probe(changing, `${SIGNED} --body-file body.json`)
    expect([found.checks['digest']?.status, found.checks['digest']?.fix]).toEqual([
      'fail',
      FIXES.DIGEST_MISMATCH,
    ])
    const open = await listen((_req, res) => res.end('{}'))
    const unguarded = await probe(open, SIGNED)
    expect([unguarded.code, statuses(unguarded)]).toEqual([
      0,
      expect.stringMatching(/unsigned warn.*signature skip.*replay warn/),
    ])
    const posted = await probe(open, `${SIGNED} --body-file body.json`)
    expect(statuses(posted)).toContain('signature skip, digest skip')
  })

  it('detects a wrong clock', async () => {
    const at = (offset: number): Promise<string> =>
      listen((_req, res) => res.writeHead(200, { date: new Date(Date.now() + offset).toUTCString() }).end())
    expect((await probe(await at(-30_000))).checks['clock']).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('ahead of'),
    })
    expect((await probe(await at(600_000))).checks['clock']).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('behind'),
    })
    const cached = await listen((_req, res) => res.writeHead(200, { age: '60' }).end())
    expect((await probe(cached)).checks['clock']?.status).toBe('skip')
  })

  it('detects a service that fails, and one that does not exist', async () => {
    const failing = await listen((_req, res) => res.writeHead(500).end())
    const found = await probe(failing, SIGNED)
    expect([found.code, found.checks['unsigned']?.status, found.checks['answer']?.status]).toEqual([
      3,
      'skip',
      'fail',
    ])
    const closed = createServer()
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
    const { port } = closed.address() as AddressInfo
    await new Promise((resolve) => closed.close(resolve))
    const gone = await probe(`http://127.0.0.1:${port}/`)
    expect([gone.code, gone.checks['reach']?.detail, gone.checks['clock']?.status]).toEqual([
      5,
      'the connection was refused',
      'skip',
    ])
    const nowhere = await probe('http://no-such-host.invalid/')
    expect([nowhere.code, nowhere.checks['reach']?.detail]).toEqual([5, 'the host name cannot be resolved'])
    const silent = await listen(() => undefined)
    const late = await probe(silent, '--timeout 1')
    expect([late.code, late.checks['reach']?.detail]).toEqual([5, 'the server did not answer in time'])
    const plain = await probe(url.replace('http:', 'https:'))
    expect([plain.code, plain.checks['reach']?.detail]).toEqual([5, 'the server closed the connection'])
  })

  it('fails if only the signed or only the repeated request gets no answer', async () => {
    const cutting = await listen((req, res) =>
      req.headers['signature'] === undefined ? res.end('{}') : req.socket.destroy(),
    )
    const found = await probe(cutting, SIGNED)
    expect([found.code, found.checks['signature'], found.checks['answer']]).toEqual([
      3,
      expect.objectContaining({ status: 'skip', detail: 'the signed request was not answered' }),
      expect.objectContaining({
        status: 'fail',
        detail: 'the signed request was not answered: the server closed the connection',
      }),
    ])
    let signed = 0
    const once = await listen((req, res) => {
      if (req.headers['signature'] !== undefined) signed += 1
      if (signed < 2) res.end('{}')
      else req.socket.destroy()
    })
    const repeated = await probe(once, SIGNED)
    expect([repeated.code, repeated.checks['replay']?.status]).toEqual([3, 'fail'])
  })

  it.each([
    [301, 'probe the URL that it redirects to'],
    [401, 'a proxy, a firewall or a login in front of the service'],
    [403, 'a proxy, a firewall or a login in front of the service'],
    [404, 'check the URL'],
    [502, 'the service, or a proxy in front of it, fails'],
  ])(
    'does not mistake an answer with status %i from something else for the decision of a guard',
    async (status, fix) => {
      const stranger = await listen((_req, res) =>
        res.writeHead(status, { location: '/' }).end('<html></html>'),
      )
      const found = await probe(stranger, SIGNED)
      expect([found.code, statuses(found)]).toEqual([
        3,
        expect.stringContaining('address skip, signature skip, digest skip, replay skip, answer fail'),
      ])
      expect(found.checks['answer']?.fix).toContain(fix)
    },
  )

  it('recognises an answer of the application behind the guards', async () => {
    const behind = await listen((req, res) => {
      if (req.headers['signature'] !== undefined) res.writeHead(404).end()
      else
        request(
          url,
          { headers: req.headers },
          (answer) => void answer.pipe(res.writeHead(answer.statusCode ?? 500)),
        ).end()
    })
    const found = await probe(behind, SIGNED)
    expect([found.checks['signature']?.status, found.checks['answer']?.status]).toEqual(['pass', 'pass'])
  })

  it('does not consider a signature accepted if its guard is not configured', async () => {
    const { serverOnly: _section, ...without } = POLICY
    const found = await probe(await guarded(without), SIGNED)
    expect([found.checks['signature']?.status, found.checks['answer']?.detail]).toEqual([
      'skip',
      expect.stringContaining('PROTECTION_NOT_CONFIGURED'),
    ])
  })

  it('--curl sends nothing, and prints a command that works once', async () => {
    const ended = await portcullis(`probe ${url} ${SIGNED} --curl`, { env })
    expect([ended.code, ended.out.includes(secret)]).toEqual([0, false])
    // Asynchronous, because the service runs in this process.
    const call = async (): Promise<string> =>
      (await run('/bin/sh', ['-c', ended.out.replace('curl -i', 'curl -si')])).output
    expect(await call()).toContain('{"welcome":true}')
    expect(await call()).toContain('SIGNATURE_REPLAYED')
  })

  it('refuses invalid URLs, and credentials in a URL', async () => {
    expect((await portcullis('probe gateway.example')).code).toBe(2)
    expect((await portcullis('probe ftp://gateway.example/')).code).toBe(2)
    const ended = await portcullis('probe https://user:hunter2@gateway.example/')
    expect([ended.code, ended.error.includes('hunter2')]).toEqual([2, false])
    expect((await portcullis(`probe ${url} --body-file nowhere`)).error).toContain(
      'there is no file `nowhere`',
    )
  })

  it('shows its checks to people, with their fixes', async () => {
    const ended = await portcullis(`probe ${url} --app none --key-id shop-1`, { env })
    expect(ended.out).toMatch(/^pass {2}reach +answered with status 401\n/)
    expect(ended.out).toMatch(
      /fail {2}answer +APP_UNKNOWN: [^\n]*\n +check the app id[^\n]*docs\/codes\.md#app_unknown/,
    )
    expect(ended.out).toMatch(/\d passed, 0 warned, 1 failed, \d skipped\n$/)
  })

  it('has a fix for every code', () => {
    expect(Object.keys(FIXES)).toEqual(Object.keys(DENIALS))
  })
})
