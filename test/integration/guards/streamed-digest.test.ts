import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import { describe, expect, it } from '@jest/globals'
import type { RequestHandler } from 'express'
import { createPolicySource, memoryNonces, memoryStore, serverOnly, type PolicySource } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'
import { forTurns } from '../../support/turns.ts'

const signer = { keyId: KEY.id, secret: KEY.secret }
const CONTENT = Buffer.from('the content that was signed')
const OTHER = Buffer.from('the content that was forged')
const SIGNED = { serverOnly: { mode: 'enforce' } } as const

const digestOf = (algorithm: 'sha256' | 'sha512', bytes: Buffer): string =>
  `${algorithm === 'sha256' ? 'sha-256' : 'sha-512'}=:${createHash(algorithm).update(bytes).digest('base64')}:`

const streamed = (policies: PolicySource) => serverOnly({ policies, nonces: memoryNonces(), streamed: true })

const answersWithItsText: RequestHandler = (req, res) => {
  let text = ''
  req.on('data', (chunk: Buffer) => (text += chunk.toString()))
  req.on('end', () => res.end(text))
  req.on('error', (error) => {
    const { status, code } = error as Error & { status: number; code: string }
    res.status(status).end(code)
  })
}

/** Sends content in two parts, with a signature that covers these digests. */
async function send(origin: string, content: Buffer, digests: string): Promise<string> {
  const headers = { 'x-app-id': APP, 'content-type': 'a/b', 'content-digest': digests }
  const signed = await signRequest({ method: 'POST', url: origin, headers }, signer)
  async function* parts(): AsyncGenerator<Buffer> {
    yield content.subarray(0, 5)
    await new Promise((resolve) => setImmediate(resolve))
    yield content.subarray(5)
  }
  const response = await fetch(origin, { method: 'POST', headers: signed, body: parts(), duplex: 'half' })
  return `${response.status} ${await response.text()}`
}

describe('content that is digested as it arrives', () => {
  it.each([
    ['sha-256', [digestOf('sha256', CONTENT)], true],
    ['sha-512', [digestOf('sha512', CONTENT)], true],
    ['both', [digestOf('sha256', CONTENT), digestOf('sha512', CONTENT)], true],
    ['a wrong sha-256 ahead', [digestOf('sha256', OTHER), digestOf('sha512', CONTENT)], false],
    ['a wrong sha-512 behind', [digestOf('sha256', CONTENT), digestOf('sha512', OTHER)], false],
  ])('is accepted if every digest matches: %s', async (_what, digests, passes) => {
    const { app } = protectedApp(SIGNED, (policies) => [streamed(policies)], answersWithItsText)
    await listening(app, async (origin) => {
      expect(await send(origin, CONTENT, digests.join(', '))).toBe(
        passes ? `200 ${CONTENT.toString()}` : '401 DIGEST_MISMATCH',
      )
    })
  })

  it('does not end for any reader if one of two mounts enforces, whichever judges first', async () => {
    const reporting = createPolicySource({
      store: memoryStore([{ policy: { appId: APP, serverOnly: { mode: 'report' } }, keys: [KEY] }]),
    })
    for (const enforcedFirst of [true, false]) {
      const { app } = protectedApp(
        SIGNED,
        (policies) => {
          const mounts = [streamed(policies), streamed(reporting)]
          return enforcedFirst ? mounts : mounts.toReversed()
        },
        answersWithItsText,
      )
      await listening(app, async (origin) => {
        expect(await send(origin, CONTENT, digestOf('sha256', CONTENT))).toBe(`200 ${CONTENT.toString()}`)
        expect(await send(origin, OTHER, digestOf('sha256', CONTENT))).toBe('401 DIGEST_MISMATCH')
      })
    }
  })

  // A handler that forwards content with its length has forwarded all of it with the last byte, before the end.
  it.each([
    ['at once', [CONTENT.length]],
    ['in two parts', [5, CONTENT.length - 5]],
    ['with its last byte alone', [CONTENT.length - 1, 1]],
  ])('of a known length is never delivered completely if it was forged: sent %s', async (_how, lengths) => {
    let seen = Buffer.alloc(0)
    const collects: RequestHandler = (req, res) => {
      seen = Buffer.alloc(0)
      req.on('data', (chunk: Buffer) => (seen = Buffer.concat([seen, chunk])))
      req.on('end', () => res.end('whole')).on('error', () => res.status(401).end('failed'))
    }
    const { app } = protectedApp(SIGNED, (policies) => [streamed(policies)], collects)
    await listening(app, async (origin) => {
      const post = async (content: Buffer): Promise<[status: number, text: string]> => {
        const headers = {
          'x-app-id': APP,
          'content-type': 'a/b',
          'content-digest': digestOf('sha256', CONTENT),
          'content-length': String(content.length),
        }
        const signed = await signRequest({ method: 'POST', url: `${origin}/`, headers }, signer)
        const request = httpRequest(origin, { method: 'POST', headers: signed })
        const answered = once(request, 'response') as Promise<[IncomingMessage]>
        let from = 0
        for (const length of lengths) {
          request.write(content.subarray(from, (from += length)))
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        request.end()
        const [response] = await answered
        return [response.statusCode ?? 0, await readText(response)]
      }
      expect(await post(CONTENT)).toEqual([200, 'whole'])
      expect(seen).toEqual(CONTENT)
      const [status, text] = await post(OTHER)
      expect([status, text === 'whole']).toEqual([401, false])
      expect(seen.length).toBeLessThan(OTHER.length)
    })
  })

  it('does not end for a handler that reads from time to time', async () => {
    const takesNowAndThen: RequestHandler = (req, res) => {
      let [text, ended] = ['', false]
      const end = new Promise<void>((resolve) => req.on('end', () => resolve(void (ended = true))))
      const taking = setInterval(() => {
        const chunk = req.read() as Buffer | null
        if (chunk !== null) text += chunk.toString()
        if (text.length < CONTENT.length) return
        clearInterval(taking)
        // The end, if there is one, comes with the next read.
        req.read()
        void forTurns(end, 200).then(() => res.end(`${text} ${ended}`))
      }, 5)
    }
    const { app } = protectedApp(SIGNED, (policies) => [streamed(policies)], takesNowAndThen)
    await listening(app, async (origin) => {
      const digest = digestOf('sha256', CONTENT)
      expect(await send(origin, CONTENT, digest)).toBe(`200 ${CONTENT.toString()} true`)
      expect(await send(origin, OTHER, digest)).toBe(`200 ${OTHER.toString()} false`)
    })
  })
})
