import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Request, Response } from 'express'
import { cookieOf } from './sessions.ts'

const COOKIE = '__Host-device'
const LIFETIME = 180 * 24 * 60 * 60_000

/**
 * Recognises browsers in which somebody has signed in to an account before (OWASP calls this a device cookie). Each of
 * them has its own limit of attempts, so a stranger who guesses passwords cannot lock the owner out. The cookie alone
 * does not sign anybody in.
 */
export function createDevices(key: Uint8Array) {
  const proofOf = (nonce: string, account: string): Buffer =>
    createHmac('sha256', key).update(`${nonce} ${account}`).digest()

  return {
    /** An identifier of this browser, if somebody has signed in to this account with it. */
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
