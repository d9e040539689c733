import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { CookieOptions, Request, Response } from 'express'
import type { Vault } from 'portcullis/vault'
import type { Account, People } from './people.ts'
import type { Storage } from './storage.ts'

/**
 * The browser of a person. Until the person signs in it is a random cookie of which nothing is stored, so nobody can fill
 * the storage by visiting pages.
 */
export interface Session {
  readonly id: string
  /** The hash under which it is stored; it opens nothing. */
  readonly name: string
  /** Goes into every form. */
  readonly csrf: string
  /** Who is signed in. */
  readonly account: Account | undefined
  /** Who has given the right password and still owes the second factor. */
  readonly awaiting: Account | undefined
}

/** A session as its owner sees it. */
export interface ListedSession {
  readonly name: string
  readonly began: number
  readonly browser: string
}

interface StoredSession {
  readonly personId: string
  readonly version: number
  readonly began: number
  readonly stage: 'whole' | 'second factor'
}

/** Without a request for so long it ends; with requests it ends after `LIFETIME` all the same. */
export const IDLE = 30 * 60_000
export const LIFETIME = 12 * 60 * 60_000
const SECOND_FACTOR_LIFETIME = 5 * 60_000
/** Of one person. The oldest ends when there is one more. */
const MOST = 10

/** Where the moment stands before which no session may have begun. It is kept for as long as one that is older could live. */
const ENDED_BEFORE = 'sessions-ended-before'

// The prefix makes browsers hold us to Secure, Path=/ and no Domain. They take such a cookie from loopback over http too.
const COOKIE = '__Host-session'
const COOKIE_OPTIONS: CookieOptions = { httpOnly: true, secure: true, sameSite: 'lax', path: '/' }

/** What the browser of a session is sealed in where it is listed for the person. */
export const browserContext = (name: string): string => `session:${name}:browser`

export interface SessionParts {
  readonly storage: Storage
  readonly vault: Vault
  readonly people: Pick<People, 'find'>
  readonly csrfKey: Uint8Array
  publicUrl(): string
  now?(): number
}

/** Sessions in secure cookies; the storage knows only the hash of a session id. */
export function createSessions({ storage, vault, people, csrfKey, publicUrl, now = Date.now }: SessionParts) {
  const nameOf = (id: string): string => createHash('sha256').update(id).digest('base64url')
  const csrfOf = (id: string): string => createHmac('sha256', csrfKey).update(id).digest('base64url')
  const listOf = (personId: string): string => `sessions:${personId}`

  const stranger = (id: string): Session => ({
    id,
    name: nameOf(id),
    csrf: csrfOf(id),
    account: undefined,
    awaiting: undefined,
  })

  async function find(req: Request): Promise<Session | undefined> {
    const id = cookieOf(req)
    if (id === undefined) return undefined
    const name = nameOf(id)
    const text = await storage.get(`session:${name}`)
    if (text === undefined) return stranger(id)
    const { personId, version, began, stage } = JSON.parse(text) as StoredSession
    const endedBefore = Number((await storage.get(ENDED_BEFORE)) ?? 0)
    const left = began < endedBefore ? 0 : began + LIFETIME - now()
    const account = left > 0 ? await people.find(personId) : undefined
    if (account?.version !== version) {
      await remove(personId, name)
      return stranger(id)
    }
    if (stage === 'second factor') return { ...stranger(id), awaiting: account }
    await storage.extend(`session:${name}`, Math.min(IDLE, left))
    return { ...stranger(id), account }
  }

  async function remove(personId: string, name: string): Promise<void> {
    await storage.remove(`session:${name}`)
    await storage.removeEntry(listOf(personId), name)
  }

  function setCookie(res: Response): string {
    const id = randomBytes(32).toString('base64url')
    res.cookie(COOKIE, id, COOKIE_OPTIONS)
    return id
  }

  async function endAllOf(personId: string): Promise<void> {
    const names = [...(await storage.entries(listOf(personId))).keys()]
    await Promise.all(names.map((name) => remove(personId, name)))
  }

  async function list(personId: string): Promise<ListedSession[]> {
    const found = await Promise.all(
      [...(await storage.entries(listOf(personId)))].map(async ([name, sealed]) => {
        const { began, browser } = JSON.parse(vault.open(sealed, browserContext(name))) as Omit<
          ListedSession,
          'name'
        >
        const alive = (await storage.get(`session:${name}`)) !== undefined
        if (!alive) await storage.removeEntry(listOf(personId), name)
        return alive ? [{ name, began, browser }] : []
      }),
    )
    return found.flat().toSorted((a, b) => b.began - a.began)
  }

  async function end(req: Request): Promise<void> {
    const session = await find(req)
    const personId = (session?.account ?? session?.awaiting)?.person.id
    if (session !== undefined && personId !== undefined) await remove(personId, session.name)
  }

  return {
    find,
    list,
    /** The session of the browser; a browser without one gets a random cookie, and nothing is stored. */
    meet: async (req: Request, res: Response): Promise<Session> =>
      (await find(req)) ?? stranger(setCookie(res)),
    /** A new session for whoever has just signed in: an id from before is worth nothing. */
    async begin(
      req: Request,
      res: Response,
      { person, version }: Account,
      stage: StoredSession['stage'] = 'whole',
    ): Promise<void> {
      await end(req)
      const name = nameOf(setCookie(res))
      const stored: StoredSession = { personId: person.id, version, began: now(), stage }
      const lifetime = stage === 'whole' ? IDLE : SECOND_FACTOR_LIFETIME
      await storage.put(`session:${name}`, JSON.stringify(stored), lifetime)
      const described = JSON.stringify({ began: stored.began, browser: browserOf(req) })
      await storage.putEntry(listOf(person.id), name, vault.seal(described, browserContext(name)), LIFETIME)
      const others = (await list(person.id)).filter((other) => other.name !== name)
      await Promise.all(others.slice(MOST - 1).map((old) => remove(person.id, old.name)))
    },
    /** Ends the session of this browser. What the browser has kept of our pages goes too. */
    async leave(req: Request, res: Response): Promise<void> {
      await end(req)
      res.clearCookie(COOKIE, COOKIE_OPTIONS).set('Clear-Site-Data', '"cache", "storage"')
    },
    /** Ends a session of this person; that of another stays. */
    async revoke(personId: string, name: string): Promise<void> {
      if ((await storage.entries(listOf(personId))).has(name)) await remove(personId, name)
    },
    /** Ends every session of a person. */
    endAllOf,
    /** Ends the sessions of everybody that began until now. */
    endAll: (): Promise<void> => storage.put(ENDED_BEFORE, String(now() + 1), LIFETIME),
    /** Whether a form came from a page of ours in this session. */
    isOurForm(req: Request, session: Session): boolean {
      if (!isOurOrigin(req, publicUrl())) return false
      const { csrf } = (req.body ?? {}) as { csrf?: unknown }
      const given = Buffer.from(typeof csrf === 'string' ? csrf : '')
      const expected = Buffer.from(session.csrf)
      return given.length === expected.length && timingSafeEqual(given, expected)
    },
    isOurOrigin: (req: Request): boolean => isOurOrigin(req, publicUrl()),
  }
}

export type Sessions = ReturnType<typeof createSessions>

/** What the browser says of where a form comes from. */
function isOurOrigin(req: Request, publicUrl: string): boolean {
  const { origin, host } = req.headers
  const site = req.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') return false
  // Behind a proxy we may be addressed otherwise than the browser did.
  return origin === undefined || [`${req.protocol}://${host}`, publicUrl].includes(origin)
}

const BROWSERS = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\//, 'Firefox'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari'],
] as const
const SYSTEMS = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/Linux/, 'Linux'],
] as const

/** In words that a person knows; made of our own lists, never of what was sent. */
function browserOf(req: Request): string {
  const agent = req.headers['user-agent'] ?? ''
  const of = (names: readonly (readonly [RegExp, string])[]): string | undefined =>
    names.find(([sign]) => sign.test(agent))?.[1]
  const browser = of(BROWSERS) ?? 'A program'
  const system = of(SYSTEMS)
  return system === undefined ? browser : `${browser} on ${system}`
}

/** Cookies of this name, of which there may be one. */
export function cookieOf(req: Request, name = COOKIE, form = /^[\w-]{43}$/): string | undefined {
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const [key, value] = pair.trim().split('=')
    if (key === name && value !== undefined && form.test(value)) return value
  }
  return undefined
}
