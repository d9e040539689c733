import { urlencoded, type RequestHandler } from 'express'
import type { Vault } from 'portcullis/vault'
import { typedIn } from './profile.ts'

const CONTEXT = 'form that was begun elsewhere'
const LIFETIME = 10 * 60_000

/**
 * Receives a sign-up form that was begun at an instance of another jurisdiction. Redirects to the form of this
 * instance, with the input encrypted in the URL, and stores nothing. It requires no session, because browsers do not
 * send our cookies with a form from another site.
 */
export const receiveBegunForm = (vault: Vault): RequestHandler[] => [
  urlencoded({ extended: false, limit: 8_192 }),
  (req, res) => {
    const begun = vault.seal(
      JSON.stringify({ typed: typedIn(req.body), until: Date.now() + LIFETIME }),
      CONTEXT,
    )
    res.redirect(303, `${req.baseUrl}/sign-up?${new URLSearchParams({ begun }).toString()}`)
  },
]

/** The input that `receiveBegunForm` encrypted, or `undefined` if it has expired or cannot be decrypted. */
export function openBegun(vault: Vault, begun: unknown): Record<string, string> | undefined {
  if (typeof begun !== 'string') return undefined
  try {
    const { typed, until } = JSON.parse(vault.open(begun, CONTEXT)) as {
      typed: Record<string, string>
      until: number
    }
    return until > Date.now() ? typed : undefined
  } catch {
    return undefined
  }
}
