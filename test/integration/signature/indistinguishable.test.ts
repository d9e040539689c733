import { generateKeyPairSync, randomBytes, sign as signBytes } from 'node:crypto'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { memoryNonces, serverOnly, type AppKey } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { VerifierKey } from '../../../src/signature/keys.ts'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'

const SECTIONS = { serverOnly: { mode: 'enforce' } } as const
const pair = generateKeyPairSync('ed25519')
const publicKey = Buffer.from(pair.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
const day = 86_400_000
const at = (offset: number): string => new Date(Date.now() + offset).toISOString()
const secret = randomBytes(32).toString('base64')

const KEYS: readonly AppKey[] = [
  KEY,
  { id: 'pair-1', algorithm: 'ed25519', secret: publicKey.toString('base64') },
  { id: 'over', algorithm: 'hmac-sha256', secret, notAfter: at(-day) },
  { id: 'to-come', algorithm: 'hmac-sha256', secret, notBefore: at(day) },
]

interface Attempt {
  readonly appId: string
  readonly keyId: string
  readonly secret: string
  /** Whether it is signed with the secret of a key that is not accepted. Its holder may learn this from the time. */
  readonly knows?: boolean
}

/** Signatures of 32 bytes, none with an accepted key of the app. */
const attempts: readonly (readonly [what: string, attempt: Attempt])[] = [
  ['a wrong signature', { appId: APP, keyId: KEY.id, secret }],
  ['an unknown key', { appId: APP, keyId: 'key-9', secret }],
  ['a key of another app', { appId: APP, keyId: 'other', secret: KEY.secret }],
  ['an unknown app', { appId: 'nobody', keyId: KEY.id, secret: KEY.secret }],
  ['an app id that cannot be one', { appId: '{}', keyId: KEY.id, secret: KEY.secret }],
  ['a key that is over', { appId: APP, keyId: 'over', secret, knows: true }],
  ['a key that is to come', { appId: APP, keyId: 'to-come', secret, knows: true }],
  ['a wrong signature for a key that is over', { appId: APP, keyId: 'over', secret: KEY.secret }],
  ['HMAC for an Ed25519 key', { appId: APP, keyId: 'pair-1', secret: publicKey.toString('base64') }],
]

afterEach(() => void jest.restoreAllMocks())

/** Everything that a caller sees, except values that differ for each request. */
async function seen(response: Response): Promise<object> {
  const headers = Object.fromEntries(response.headers)
  const body = (await response.json()) as { instance: string }
  expect(headers['x-request-id']).toBe(body.instance)
  for (const name of ['date', 'x-request-id']) delete headers[name]
  // In the order on the wire.
  const names = [...response.headers.keys()].filter((name) => name in headers)
  return { status: response.status, names, headers, body: JSON.stringify({ ...body, instance: '' }) }
}

async function guarded<T>(run: (origin: string) => Promise<T>): Promise<T> {
  const { app, store } = protectedApp(SECTIONS, (policies) => [
    serverOnly({ policies, nonces: memoryNonces() }),
  ])
  await store.write({ policy: { appId: APP, ...SECTIONS }, keys: KEYS }, 1)
  await store.write({ policy: { appId: 'other', ...SECTIONS }, keys: [{ ...KEY, id: 'other' }] }, 0)
  return listening(app, run)
}

describe('a caller without an accepted key', () => {
  it('gets the same answer after the same cryptography, whatever is wrong', async () => {
    const work = jest.spyOn(VerifierKey.prototype, 'holds')
    await guarded(async (origin) => {
      const answers = new Map<string, object>()
      for (const [what, { appId, keyId, secret: key, knows }] of attempts) {
        const headers = await signRequest(
          { method: 'GET', url: `${origin}/a?b=1`, headers: { 'x-app-id': appId } },
          { keyId, secret: key },
        )
        work.mockClear()
        const answer = await seen(await fetch(`${origin}/a?b=1`, { headers }))
        const done = work.mock.calls.map(([text, signature], index) => ({
          // The work depends only on the length of the text.
          characters: text.replace(/keyid="[^"]*"/, '').replace(appId, '').length,
          bytes: Buffer.from(signature, 'base64').length,
          algorithm: (work.mock.contexts[index] as VerifierKey).algorithm,
        }))
        answers.set(what, { ...answer, ...(knows !== true && { done }) })
      }
      const [[, first] = []] = answers
      expect(first).toMatchObject({ status: 401 })
      const { done, ...answer } = first as { done: unknown[] }
      expect(done[0]).toMatchObject({ bytes: 32, algorithm: 'hmac-sha256' })
      const expected = attempts.map(([what, { knows }]) => [what, knows === true ? answer : first] as const)
      expect(answers).toEqual(new Map(expected))
    })
  })

  it('gets the same answer after the same cryptography for signatures of 64 bytes', async () => {
    const work = jest.spyOn(VerifierKey.prototype, 'holds')
    await guarded(async (origin) => {
      const answers: object[] = []
      for (const [appId, keyId] of [
        [APP, 'pair-1'],
        [APP, 'pair-9'],
        ['nobody', 'pair-1'],
        [APP, KEY.id],
      ]) {
        const created = Math.floor(Date.now() / 1000)
        const input = `("@method" "@authority" "@path" "@query");created=${created};keyid="${keyId}";nonce="${'n'.repeat(16)}"`
        const wrong = signBytes(null, Buffer.from('another text'), pair.privateKey).toString('base64')
        work.mockClear()
        const headers = {
          'x-app-id': appId ?? '',
          'signature-input': `sig1=${input}`,
          signature: `sig1=:${wrong}:`,
        }
        const answer = await seen(await fetch(origin, { headers }))
        const done = work.mock.contexts.map((key) => (key as VerifierKey).algorithm)
        answers.push({ ...answer, done })
      }
      expect(answers[0]).toMatchObject({ status: 401, done: expect.arrayContaining(['ed25519']) })
      for (const answer of answers) expect(answer).toEqual(answers[0])
    })
  })
})
