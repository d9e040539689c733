import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { CookieOptions, Request, Response } from 'express'
import type { Vault } from 'portcullis/vault'
import type { Account, People } from './people.ts'
import type { Storage } from './storage.ts'

/**
 * The session of a browser. Until the person signs in, it is only a random cookie. Nothing is stored for it, so nobody
 * can fill the storage by visiting pages.
 */
export interface Session {
  readonly id: string
  /** The hash under which the session is stored. It is not a secret. */
  readonly name: string
  /** The token in every form against CSRF. */
  readonly csrf: string
  /** The account that is signed in. */
  readonly account: Account | undefined
  /** The account whose password was right and whose second factor is still missing. */
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

/** A session without requests ends after `IDLE` milliseconds, and any session after `LIFETIME`. */
export const IDLE = 30 * 60_000
export const LIFETIME = 12 * 60 * 60_000
const SECOND_FACTOR_LIFETIME = 5 * 60_000
/** The maximum number of sessions of a person. One more ends the oldest. */
const MOST = 10

/**
 * The storage key of a time: sessions that began before it are not valid. It is kept for the maximum lifetime of a
 * session.
 */
const ENDED_BEFORE = 'sessions-ended-before'

// Because of the prefix, browsers require Secure, Path=/ and no Domain. They also accept such a cookie over http from
// loopback.
const COOKIE = '__Host-session'
const COOKIE_OPTIONS: CookieOptions = { httpOnly: true, secure: true, sameSite: 'lax', path: '/' }

/** The encryption context of the browser name in the list of a person's sessions. */
export const browserContext = (name: string): string => `session:${name}:browser`

export interface SessionParts {
  readonly storage: Storage
  readonly vault: Vault
  readonly people: Pick<People, 'find'>
  readonly csrfKey: Uint8Array
  publicUrl(): string
  now?(): number
}

/** Keeps session ids in secure cookies. The storage contains only hashes of them. */
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
    /** The session of the browser. A browser without a session gets a random cookie, and nothing is stored. */
    meet: async (req: Request, res: Response): Promise<Session> =>
      (await find(req)) ?? stranger(setCookie(res)),
    /** Begins a session with a new id after a sign-in, which prevents session fixation. Ends the previous session. */
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
      // A concurrent deletion of the person may have removed the sessions before this one was stored.
      if ((await people.find(person.id)) === undefined) return remove(person.id, name)
      const others = (await list(person.id)).filter((other) => other.name !== name)
      await Promise.all(others.slice(MOST - 1).map((old) => remove(person.id, old.name)))
    },
    /** Ends the session of this browser, and clears what the browser stored for our pages. */
    async leave(req: Request, res: Response): Promise<void> {
      await end(req)
      res.clearCookie(COOKIE, COOKIE_OPTIONS).set('Clear-Site-Data', '"cache", "storage"')
    },
    /** Ends a session if it belongs to this person. */
    async revoke(personId: string, name: string): Promise<void> {
      if ((await storage.entries(listOf(personId))).has(name)) await remove(personId, name)
    },
    /** Ends every session of a person. */
    endAllOf,
    /** The names of the sessions of a person. */
    namesOf: async (personId: string): Promise<string[]> => [
      ...(await storage.entries(listOf(personId))).keys(),
    ],
    /** Ends all sessions of all people. */
    endAll: (): Promise<void> => storage.put(ENDED_BEFORE, String(now() + 1), LIFETIME),
    /** Whether a form was sent by one of our pages in this session. */
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

/** Whether the headers of a form say that it comes from our origin. A missing header proves nothing and is accepted. */
function isOurOrigin(req: Request, publicUrl: string): boolean {
  const { origin, host } = req.headers
  const site = req.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') return false
  // Behind a proxy, the Host header may differ from the address that the browser used.
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

/** The names of the browser and the system. They come only from the lists above, never from the header itself. */
function browserOf(req: Request): string {
  const agent = req.headers['user-agent'] ?? ''
  const of = (names: readonly (readonly [RegExp, string])[]): string | undefined =>
    names.find(([sign]) => sign.test(agent))?.[1]
  const browser = of(BROWSERS) ?? 'A program'
  const system = of(SYSTEMS)
  return system === undefined ? browser : `${browser} on ${system}`
}

/** The first cookie with this name whose value has this form. */
export function cookieOf(req: Request, name = COOKIE, form = /^[\w-]{43}$/): string | undefined {
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const [key, value] = pair.trim().split('=')
    if (key === name && value !== undefined && form.test(value)) return value
  }
  return undefined
}
