import { urlencoded, type RequestHandler } from 'express'
import type { Vault } from 'portcullis/vault'
import { typedIn } from './profile.ts'

const CONTEXT = 'form that was begun elsewhere'
const LIFETIME = 10 * 60_000

/**
 * Takes the form of a sign-up that was begun at an instance where it must not end: what was typed goes on to the form here,
 * sealed in the URL, and nothing is kept. It asks for no session, because a browser sends no cookies with a form of another
 * site.
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

/** What was typed elsewhere; what cannot be opened is nothing. */
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
