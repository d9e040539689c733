import { createHash, randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from '@jest/globals'
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type Response as Answer,
} from 'express'
import { bodyParsers, memoryNonces, serverOnly } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const SECTIONS = { serverOnly: { mode: 'enforce' } } as const
const signer = { keyId: KEY.id, secret: KEY.secret }
const JSON_TYPE = 'application/json'

function guardedApp(limit?: number): Express {
  const { app } = protectedApp(
    SECTIONS,
    (policies) => [...bodyParsers({ limit }), serverOnly({ policies, nonces: memoryNonces() })],
    (req, res) => void res.json({ body: req.body ?? null }),
  )
  const answer: ErrorRequestHandler = (error: { status?: number; message: string }, _req, res, _next) =>
    void res.status(error.status ?? 500).json({ error: error.message })
  return app.use(answer)
}

interface Sent {
  bytes: Uint8Array
  coding?: string | undefined
  type?: string
  headers?: Record<string, string>
  chunked?: boolean
  limit?: number
  change?: (bytes: Uint8Array) => Uint8Array
}

/** Signs these bytes, and sends them unchanged. */
async function post({ bytes, coding, type = JSON_TYPE, headers, chunked, limit, change }: Sent) {
  return listening(guardedApp(limit), async (origin) => {
    const url = `${origin}/`
    const given = {
      'x-app-id': APP,
      'content-type': type,
      ...(coding === undefined ? {} : { 'content-encoding': coding }),
      ...headers,
    }
    const signed = await signRequest({ method: 'POST', url, headers: given, body: bytes }, signer)
    const sent = change?.(bytes) ?? bytes
    const body = chunked === true ? streamOf(sent) : Buffer.from(sent)
    const response = await fetch(url, {
      method: 'POST',
      headers: signed,
      body,
      duplex: 'half',
    })
    return {
      status: response.status,
      ...((await response.json()) as { code?: string; body?: unknown; error?: string }),
    }
  })
}

/** Splits bytes into parts of one to seven bytes. */
async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size % 7) + 1)
    yield bytes.slice(at, at + size)
}

const VALUE = { text: 'Grüße', list: [1, 2, 3] }
const TEXT = Buffer.from(JSON.stringify(VALUE))

const codings: [coding: string | undefined, encode: (bytes: Uint8Array) => Uint8Array][] = [
  [undefined, (bytes) => bytes],
  ['gzip', gzipSync],
  ['GZIP', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
]

describe('signed bodies', () => {
  for (const [coding, encode] of codings) {
    for (const chunked of [false, true]) {
      const sent = { bytes: encode(TEXT), coding, chunked }
      const name = `${coding ?? 'not compressed'}${chunked ? ', chunked' : ''}`

      it(`are admitted and parsed: ${name}`, async () => {
        expect(await post(sent)).toEqual({ status: 200, body: VALUE })
      })

      it(`are refused if different bytes arrive that decompress to the same: ${name}`, async () => {
        // Trailing white space and the compression level do not change the value.
        const change = () => encode(Buffer.concat([TEXT, Buffer.from(' ')]))
        expect(await post({ ...sent, change })).toMatchObject({ status: 401, code: 'DIGEST_MISMATCH' })
      })
    }
  }

  it('are also parsed as forms', async () => {
    const type = 'application/x-www-form-urlencoded'
    expect(await post({ bytes: gzipSync('a=1&b=%20'), coding: 'gzip', type })).toEqual({
      status: 200,
      body: { a: '1', b: ' ' },
    })
  })

  it('may have both digests, and each must match', async () => {
    const bytes = gzipSync(TEXT)
    const digest = (hash: string, of: Uint8Array) => `:${createHash(hash).update(of).digest('base64')}:`
    const right = `sha-256=${digest('sha256', bytes)}, sha-512=${digest('sha512', bytes)}`
    const overPlain = `sha-256=${digest('sha256', bytes)}, sha-512=${digest('sha512', TEXT)}`
    for (const [header, status] of [
      [right, 200],
      [overPlain, 401],
    ] as const) {
      // prettier-ignore
      await listening(guardedApp(), async (origin) => {
        const headers = await signRequest(
          {
            method: 'POST',
            url: `${origin}/`,
            headers: { 'x-app-id': APP, 'content-type': JSON_TYPE, 'content-encoding': 'gzip', 'content-digest': header },
          },
          signer,
        )
        expect((await fetch(`${origin}/`, { method: 'POST', headers, body: bytes })).status).toBe(status)
      })
    }
  })

  it('with bytes after the compressed ones are refused', async () => {
    const change = (bytes: Uint8Array) => Buffer.concat([bytes, randomBytes(8)])
    expect(await post({ bytes: gzipSync(TEXT), coding: 'gzip', change })).toMatchObject({ status: 400 })
  })

  const bomb = Buffer.alloc(50_000_000)
  it.each([
    ['gzip', gzipSync(bomb)],
    ['br', brotliCompressSync(bomb)],
  ])(
    'of %s that decompress to more than the limit are refused with 413, before they are decompressed',
    async (coding, bytes) => {
      const before = process.memoryUsage().arrayBuffers
      expect(await post({ bytes, coding, limit: bytes.length })).toEqual({
        status: 413,
        error: 'the body is too large when decompressed',
      })
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000)
    },
  )

  it('are refused with 413 if they are too large as received', async () => {
    const bytes = gzipSync(randomBytes(2000))
    for (const chunked of [false, true]) {
      expect(await post({ bytes, coding: 'gzip', limit: 1000, chunked })).toEqual({
        status: 413,
        error: 'the body is too large',
      })
    }
  })

  it.each([
    ['are no gzip', 'gzip', TEXT, 400],
    ['end early', 'gzip', gzipSync(TEXT).subarray(0, 20), 400],
    ['unpack to no JSON', 'gzip', gzipSync('{'), 400],
    ['are compressed twice', 'gzip, gzip', gzipSync(gzipSync(TEXT)), 415],
    ['are compressed in a way that is not known', 'compress', TEXT, 415],
  ])('that %s are refused', async (_what, coding, bytes, status) => {
    expect(await post({ bytes, coding })).toMatchObject({ status })
  })

  it('with an unknown charset are refused', async () => {
    const type = 'application/json; charset=latin-9000'
    expect(await post({ bytes: gzipSync(TEXT), coding: 'gzip', type })).toMatchObject({ status: 415 })
  })

  it('of a type without a parser are not read, and refused because their digest cannot be checked', async () => {
    const sent = { bytes: gzipSync(TEXT), coding: 'gzip', type: 'application/octet-stream' }
    expect(await post(sent)).toMatchObject({ status: 401, code: 'DIGEST_MISMATCH' })
  })

  it('that other middleware has read are not read again', async () => {
    const app = express().use(
      express.raw({ type: () => true }),
      bodyParsers(),
      (req: Request, res: Answer) => {
        res.json({ buffer: Buffer.isBuffer(req.body) })
      },
    )
    await listening(app, async (origin) => {
      const headers = { 'content-type': JSON_TYPE, 'content-encoding': 'gzip' }
      const response = await fetch(origin, { method: 'POST', headers, body: gzipSync(TEXT) })
      expect(await response.json()).toEqual({ buffer: true })
    })
  })

  it('of a caller that disconnects leave nothing behind', async () => {
    const errors: unknown[] = []
    const app = express().use(bodyParsers(), ((error, _req, res, _next) => {
      errors.push((error as { status?: number }).status)
      res.end()
    }) as ErrorRequestHandler)
    await listening(app, async (_origin, server) => {
      const { port } = server.address() as AddressInfo
      const head =
        'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n'
      const { connect } = await import('node:net')
      const socket = connect(port, '127.0.0.1', () => socket.end(`${head}Content-Length: 50\r\n\r\nabc`))
      socket.on('error', () => undefined)
      socket.resume()
      while (errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      expect(errors).toEqual([400])
    })
  })

  describe('whose signature covers no digest', () => {
    const parsers: [what: string, parser: () => unknown[]][] = [
      ['bodyParsers()', () => [...bodyParsers()]],
      ['express.json(), which keeps no bytes', () => [express.json()]],
      ['no parser', () => []],
    ]
    const contents: [what: string, content: string][] = [
      ['a body of known length', 'Content-Length: 11\r\n\r\n{"a":"bcd"}'],
      ['a body in chunks', 'Transfer-Encoding: chunked\r\n\r\nb\r\n{"a":"bcd"}\r\n0\r\n\r\n'],
      ['a body of an unknown transfer coding', 'Transfer-Encoding: xchunked\r\n\r\n{"a":"bcd"}'],
    ]
    for (const [what, parser] of parsers) {
      const ask = async (content: string) => {
        const { app, reached } = protectedApp(SECTIONS, (policies) => [
          ...parser(),
          serverOnly({ policies, nonces: memoryNonces() }),
        ])
        const answer = await listening(app, async (origin) => {
          const { host, port } = new URL(origin)
          const given = { 'x-app-id': APP, 'content-type': JSON_TYPE }
          const headers = await signRequest({ method: 'POST', url: `${origin}/`, headers: given }, signer)
          expect(headers['signature-input']).not.toContain('content-digest')
          const lines = Object.entries({ ...headers, host, connection: 'close' })
          const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
          return exchange(Number(port), `POST / HTTP/1.1\r\n${head}${content}`)
        })
        return { answer, reached: reached.length }
      }

      it(`are refused after ${what}, however they are framed`, async () => {
        for (const [carrier, content] of contents) {
          const { answer, reached } = await ask(content)
          // Node itself answers 400 to an unknown transfer coding.
          const expected = carrier.includes('unknown') ? /^HTTP\/1\.1 (?:400|401|501) / : /^HTTP\/1\.1 401 /
          expect([carrier, answer]).toEqual([carrier, expect.stringMatching(expected)])
          expect([carrier, reached]).toEqual([carrier, 0])
        }
      })

      it(`are admitted after ${what} if there is no body`, async () => {
        const { answer, reached } = await ask('Content-Length: 0\r\n\r\n')
        expect([answer.slice(0, 12), reached]).toEqual(['HTTP/1.1 200', 1])
      })
    }
  })
})
