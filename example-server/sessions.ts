import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Request, Response } from 'express'
import type { Storage } from './storage.ts'

/** The browser of a person, signed in or not yet. */
export interface Session {
  readonly id: string
  readonly personId: string | undefined
  /** Goes into every form. */
  readonly csrf: string
}

const LIFETIME = 30 * 60_000

// The prefix makes browsers hold us to Secure, Path=/ and no Domain. They take such a cookie from loopback over http too.
const COOKIE = '__Host-session'

/** Sessions in secure cookies; the storage knows only the hash of a session id. */
export function createSessions(storage: Storage, csrfKey: Uint8Array, publicUrl: () => string) {
  const keyOf = (id: string): string => `session:${createHash('sha256').update(id).digest('base64url')}`
  const csrfOf = (id: string): string => createHmac('sha256', csrfKey).update(id).digest('base64url')

  async function begin(res: Response, personId?: string): Promise<Session> {
    const id = randomBytes(32).toString('base64url')
    await storage.put(keyOf(id), JSON.stringify({ personId }), LIFETIME)
    res.cookie(COOKIE, id, { httpOnly: true, secure: true, sameSite: 'lax', path: '/', maxAge: LIFETIME })
    return { id, personId, csrf: csrfOf(id) }
  }

  async function find(req: Request): Promise<Session | undefined> {
    const id = cookieOf(req)
    const text = id === undefined ? undefined : await storage.get(keyOf(id))
    if (id === undefined || text === undefined) return undefined
    return { id, personId: (JSON.parse(text) as { personId?: string }).personId, csrf: csrfOf(id) }
  }

  return {
    find,
    /** The session of the browser, or a new one. */
    findOrBegin: async (req: Request, res: Response): Promise<Session> => (await find(req)) ?? begin(res),
    /** A new id for whoever has just signed in, so that an id from before is worth nothing. */
    async renew(req: Request, res: Response, personId: string | undefined): Promise<Session> {
      const old = cookieOf(req)
      if (old !== undefined) await storage.remove(keyOf(old))
      return begin(res, personId)
    },
    /** Whether a form came from a page of ours in this session. */
    isOurForm(req: Request, session: Session): boolean {
      const { origin, host } = req.headers
      const site = req.headers['sec-fetch-site']
      if (site !== undefined && site !== 'same-origin') return false
      // Behind a proxy we may be addressed otherwise than the browser did.
      if (origin !== undefined && ![`${req.protocol}://${host}`, publicUrl()].includes(origin)) return false
      const { csrf } = (req.body ?? {}) as { csrf?: unknown }
      const given = Buffer.from(typeof csrf === 'string' ? csrf : '')
      const expected = Buffer.from(session.csrf)
      return given.length === expected.length && timingSafeEqual(given, expected)
    },
  }
}

export type Sessions = ReturnType<typeof createSessions>

function cookieOf(req: Request): string | undefined {
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const [name, value] = pair.trim().split('=')
    if (name === COOKIE && value !== undefined && /^[\w-]{43}$/.test(value)) return value
  }
  return undefined
}
