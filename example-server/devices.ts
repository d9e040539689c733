import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Request, Response } from 'express'
import { cookieOf } from './sessions.ts'

const COOKIE = '__Host-device'
const LIFETIME = 180 * 24 * 60 * 60_000

/**
 * Browsers in which somebody has signed in to an account before (OWASP calls it a device cookie). They have tries of their
 * own, so whoever tries passwords for a stranger's account from elsewhere does not lock its owner out. The cookie signs
 * nobody in.
 */
export function createDevices(key: Uint8Array) {
  const proofOf = (nonce: string, account: string): Buffer =>
    createHmac('sha256', key).update(`${nonce} ${account}`).digest()

  return {
    /** A name of this browser, if it is known to the account of this name. */
    known(req: Request, account: string): string | undefined {
      const [nonce = '', proof = ''] = (cookieOf(req, COOKIE, /^[\w-]{22}\.[\w-]{43}$/) ?? '').split('.')
      const given = Buffer.from(proof, 'base64url')
      const expected = proofOf(nonce, account)
      return given.length === expected.length && timingSafeEqual(given, expected) ? nonce : undefined
    },
    remember(req: Request, res: Response, account: string): void {
      const nonce = this.known(req, account) ?? randomBytes(16).toString('base64url')
      res.cookie(COOKIE, `${nonce}.${proofOf(nonce, account).toString('base64url')}`, {
        httpOnly: true,
        secure: true,
        sameSite: 'lax',
        path: '/',
        maxAge: LIFETIME,
      })
    },
  }
}

export type Devices = ReturnType<typeof createDevices>
