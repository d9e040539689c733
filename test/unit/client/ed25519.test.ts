import { execFileSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { signRequest, type PrivateKey } from '../../../src/client/index.ts'
import { ConfigError } from '../../../src/errors.ts'
import { parseAppKeys } from '../../../src/signature/keys.ts'
import { verifyMessage } from '../../../src/signature/verify.ts'
import { findPrograms } from '../../support/commands.ts'
import { messageOf, NOW, RULES, SECRET } from '../signature/message.ts'
import { APP_KEYS, ED25519 } from './verifying-server.ts'

const request = { method: 'POST', url: 'https://example.com/a?b', body: '{"a":1}' }

const cryptoKey = async (usages: 'sign'[] = ['sign'], extractable = false): Promise<PrivateKey> =>
  crypto.subtle.importKey(
    'pkcs8',
    Buffer.from(ED25519.der, 'base64'),
    { name: 'Ed25519' },
    extractable,
    usages,
  )

describe('signing with an Ed25519 key', () => {
  const forms: readonly (readonly [what: string, key: () => string | Promise<PrivateKey>])[] = [
    ['a PEM', () => ED25519.pem],
    [
      'a PEM with Windows line ends and white space around',
      () => ` \r\n${ED25519.pem.replaceAll('\n', '\r\n')}\r\n`,
    ],
    ['the base64 of PKCS #8', () => ED25519.der],
    ['a CryptoKey that cannot be read', () => cryptoKey()],
  ]
  it.each(forms)('accepts %s', async (_what, key) => {
    const headers = await signRequest(request, { keyId: 'key-2', privateKey: await key(), now: () => NOW })
    expect(headers['signature']).toMatch(/^sig1=:[A-Za-z0-9+/]{86}==:$/)
    const message = { method: 'POST', authority: 'example.com', target: '/a?b', headers, body: request.body }
    expect(verifyMessage(messageOf(message), APP_KEYS, RULES, NOW)).toMatchObject({
      ok: true,
      keyId: 'key-2',
    })
    expect(verifyMessage(messageOf({ ...message, target: '/a?c' }), APP_KEYS, RULES, NOW)).toMatchObject({
      code: 'SIGNATURE_INVALID',
    })
  })

  it('creates the same signature with either form of the key, because Ed25519 is deterministic (RFC 8032)', async () => {
    const options = {
      keyId: 'key-2',
      privateKey: ED25519.pem,
      now: () => NOW,
      nonce: () => 'nonce-of-16-char',
    }
    expect(await signRequest(request, options)).toEqual(
      await signRequest(request, { ...options, privateKey: ED25519.der }),
    )
  })

  const pkcs8 = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string
  const { privateKey: ec } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const wrong: readonly (readonly [what: string, key: () => unknown])[] = [
    ['nothing', () => ''],
    ['a secret', () => SECRET],
    ['a public key', () => ED25519.publicKey],
    ['a key of another kind', () => pkcs8(ec)],
    ['an X25519 key', () => pkcs8(generateKeyPairSync('x25519').privateKey)],
    [
      'an encrypted PEM',
      () =>
        createPrivateKey(ED25519.pem).export({
          type: 'pkcs8',
          format: 'pem',
          cipher: 'aes-256-cbc',
          passphrase: 'x',
        }),
    ],
    ['a PEM with escaped line ends', () => ED25519.pem.replaceAll('\n', '\\n')],
    ['a KeyObject of Node', () => createPrivateKey(ED25519.pem)],
    [
      'a CryptoKey for something else',
      () => crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['sign']),
    ],
    [
      'a CryptoKey that only verifies',
      async () =>
        (
          (await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify'])) as {
            publicKey: unknown
          }
        ).publicKey,
    ],
  ]
  it.each(wrong)('refuses %s, without showing it', async (_what, make) => {
    const privateKey = (await make()) as string
    const signing = signRequest(request, { keyId: 'key-2', privateKey })
    await expect(signing).rejects.toBeInstanceOf(ConfigError)
    await expect(signing).rejects.toThrow(
      /^`signRequest\.privateKey` must be the PKCS #8 .* got a value that is not shown here, because it may be secret$/,
    )
  })

  it('requires one key, and not two', async () => {
    const both = signRequest(request, { keyId: 'key-2', secret: SECRET, privateKey: ED25519.pem })
    await expect(both).rejects.toThrow(
      /`signRequest\.secret` and `signRequest\.privateKey` are both given: use only one/,
    )
    const none = signRequest(request, { keyId: 'key-2' })
    await expect(none).rejects.toThrow(
      /`signRequest\.secret` is missing: give base64 .*, or use `privateKey`/,
    )
  })

  it('reports a key that cannot be imported, or a runtime without Ed25519', async () => {
    const cut = Buffer.from(ED25519.der, 'base64').subarray(0, -1).toString('base64')
    await expect(signRequest(request, { keyId: 'key-2', privateKey: cut })).rejects.toThrow(
      /cannot be read as the PKCS #8/,
    )
    const { subtle } = crypto
    const unsupported = async (): Promise<never> => {
      throw new DOMException('Unrecognized name.', 'NotSupportedError')
    }
    Object.defineProperty(subtle, 'importKey', { value: unsupported, configurable: true })
    try {
      await expect(signRequest(request, { keyId: 'key-2', privateKey: ED25519.pem })).rejects.toThrow(
        /no Ed25519: sign with a `secret`/,
      )
    } finally {
      Reflect.deleteProperty(subtle, 'importKey')
    }
  })

  // The commands in docs/signing.md.
  for (const openssl of findPrograms(['openssl']).slice(0, 1)) {
    it('signs with a key from openssl, which prints its public half', async () => {
      const privateKey = execFileSync(openssl, ['genpkey', '-algorithm', 'ed25519'], { encoding: 'utf8' })
      const der = execFileSync(openssl, ['pkey', '-pubout', '-outform', 'DER'], { input: privateKey })
      const secret = der.subarray(-32).toString('base64')
      const headers = await signRequest(request, { keyId: 'key-3', privateKey, now: () => NOW })
      const message = {
        method: 'POST',
        authority: 'example.com',
        target: '/a?b',
        headers,
        body: request.body,
      }
      const keys = parseAppKeys([{ id: 'key-3', algorithm: 'ed25519', secret }])
      expect(verifyMessage(messageOf(message), keys, RULES, NOW)).toMatchObject({ ok: true, keyId: 'key-3' })
    })
  }
})
