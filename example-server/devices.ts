import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { CookieOptions, Request, Response } from 'express'
import { cookieOf } from './sessions.ts'

const COOKIE = '__Host-device'
const LIFETIME = 180 * 24 * 60 * 60_000

const FORM = /^[\w-]{22}\.[\w-]{43}$/
const OPTIONS: CookieOptions = { httpOnly: true, secure: true, sameSite: 'lax', path: '/' }

/**
 * Recognises browsers in which somebody has signed in to an account before (OWASP calls this a device cookie). Each of
 * them has its own limit of attempts, so a stranger who guesses passwords cannot lock the owner out. The cookie alone
 * does not sign anybody in. Accounts are identified by the identifier of the person, so the cookie is worthless
 * after the account was deleted.
 */
export function createDevices(key: Uint8Array) {
  const proofOf = (nonce: string, account: string): Buffer =>
    createHmac('sha256', key).update(`${nonce} ${account}`).digest()

  return {
    /** Whether somebody has signed in to any account with this browser. */
    isAny: (req: Request): boolean => cookieOf(req, COOKIE, FORM) !== undefined,
    /** An identifier of this browser, if somebody has signed in to this account with it. */
    known(req: Request, account: string): string | undefined {
      const [nonce = '', proof = ''] = (cookieOf(req, COOKIE, FORM) ?? '').split('.')
      const given = Buffer.from(proof, 'base64url')
      const expected = proofOf(nonce, account)
      return given.length === expected.length && timingSafeEqual(given, expected) ? nonce : undefined
    },
    remember(req: Request, res: Response, account: string): void {
      const nonce = this.known(req, account) ?? randomBytes(16).toString('base64url')
      const value = `${nonce}.${proofOf(nonce, account).toString('base64url')}`
      res.cookie(COOKIE, value, { ...OPTIONS, maxAge: LIFETIME })
    },
    forget: (res: Response): void => void res.clearCookie(COOKIE, OPTIONS),
  }
}

export type Devices = ReturnType<typeof createDevices>
