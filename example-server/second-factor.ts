import { createHash, randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import { renderSVG } from 'uqr'
import type { SecondFactor } from './people.ts'

const ISSUER = 'Example gateway'
const PERIOD = 30
const RECOVERY_CODES = 8

const totpOf = (secret: string, label = ''): TOTP =>
  new TOTP({ issuer: ISSUER, label, secret: Secret.fromBase32(secret), period: PERIOD })

export const newSecret = (): string => new Secret({ size: 20 }).base32

/** What an authenticator app reads: a link for an app on the same device, and a QR code for another device. */
export function enrolment(secret: string, label: string): { link: string; picture: string } {
  const link = totpOf(secret, label).toString()
  const svg = renderSVG(link, { border: 4 })
  return { link, picture: `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}` }
}

/** The time step of a code: the current one, the one before or the one after. `undefined` if the code is wrong. */
export function stepOf(secret: string, code: string, now: number): number | undefined {
  const token = code.replaceAll(/\s/g, '')
  if (!/^\d{6}$/.test(token)) return undefined
  const delta = totpOf(secret).validate({ token, timestamp: now, window: 1 })
  return delta === null ? undefined : Math.floor(now / 1000 / PERIOD) + delta
}

// A code has 128 random bits, so a fast hash is enough.
const hashOf = (code: string): string =>
  createHash('sha256').update(code.replaceAll(/[\s-]/g, '').toLowerCase()).digest('base64url')

/** Codes for people who have lost their device. Each works once. */
export function newRecoveryCodes(): { codes: string[]; hashes: string[] } {
  const codes = Array.from({ length: RECOVERY_CODES }, () =>
    (randomBytes(16).toString('hex').match(/.{4}/g) as string[]).join('-'),
  )
  return { codes, hashes: codes.map(hashOf) }
}

/** The factor to store after this code was used, or `undefined` if the code is wrong or was already used. */
export function afterUse(factor: SecondFactor, code: string, now: number): SecondFactor | undefined {
  const step = stepOf(factor.secret, code, now)
  if (step !== undefined) return step > factor.lastStep ? { ...factor, lastStep: step } : undefined
  const hash = hashOf(code)
  if (!factor.recovery.includes(hash)) return undefined
  return { ...factor, recovery: factor.recovery.filter((left) => left !== hash) }
}
