import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { UnavailableError } from '../errors.ts'
import type { GuardRequest } from '../http/handler.ts'
import type { ConsoleOptions, ConsoleUser } from './options.ts'
import { ConsoleProblem } from './problems.ts'
import { isConsoleRight, type ConsoleRight } from './rights.ts'
import type { ConsoleState } from './state.ts'
import { isUserName, tokenMark, tokenUsers } from './tokens.ts'

/** A signed-in user. */
export interface Session {
  readonly id: string
  readonly name: string
  readonly rights: ReadonlySet<ConsoleRight>
  /** Must be sent in `X-CSRF-Token` with every change. It is derived from the id, which scripts cannot read. */
  readonly csrf: string
  /** Whether the request itself carried the token, which no browser adds to a request from another site. */
  readonly byToken?: boolean | undefined
  /** Whether your own app has signed the user in, without a token. */
  readonly byApp?: boolean | undefined
}

interface StoredSession {
  readonly name: string
  readonly rights: readonly ConsoleRight[]
  /** Whether `authorize` admitted the user without a token. If so, it is called again for every request. */
  readonly asked: boolean
  /** The mark of the token, if `consoleTokens` made it: the session ends with the token. */
  readonly token?: string | undefined
  readonly begun: number
  readonly seen: number
}

export interface Sessions {
  /**
   * `undefined` if there is no token and your app does not know the caller either.
   *
   * @throws ConsoleProblem if the token is refused.
   */
  begin(req: GuardRequest, token: string | undefined): Promise<Session | undefined>
  find(req: GuardRequest): Promise<Session | undefined>
  end(session: Session): Promise<void>
}

// With this prefix, a browser accepts the cookie only over HTTPS (or from loopback), and only for this host (RFC 6265bis,
// 4.1.3.2).
export const SESSION_COOKIE = '__Host-portcullis-console'

const LONGEST = 12 * 3_600_000
const HALF_AN_HOUR = 30 * 60_000
/** How often the last use of a session is stored, in milliseconds. */
const NOTED_EVERY = 60_000
/** How many sessions of one name are kept. */
const MOST_OF_ONE = 50
/** How often the list of a user's sessions is written again after a conflict. */
const TRIES = 5

export function createSessions(
  options: Pick<ConsoleOptions, 'authorize' | 'idleTimeout'>,
  state: ConsoleState,
  now: () => number,
): Sessions {
  const { idleTimeout = HALF_AN_HOUR } = options
  const tokens = tokenUsers(options.authorize)

  async function ask(req: GuardRequest, token?: string): Promise<ConsoleUser | undefined> {
    const user = await options.authorize(token === undefined ? { req } : { req, token })
    if (user === undefined || user === null || !isUserName(user.name)) return undefined
    return { name: user.name, rights: [...user.rights].filter(isConsoleRight) }
  }

  /**
   * Programs send a token of `consoleTokens` with each request, and have no session. Tokens of another `authorize` may be
   * guessable, so they are not accepted here.
   */
  async function byBearer(req: GuardRequest): Promise<Session | undefined> {
    const token = tokens === undefined ? undefined : bearerOf(req)
    // A token that is not ours may be for a proxy in front of the app.
    const user = token === undefined ? undefined : await ask(req, token)
    return user && { id: '', name: user.name, rights: new Set(user.rights), csrf: '', byToken: true }
  }

  const lifetimeOf = (begun: number): number => Math.min(idleTimeout, begun + LONGEST - now())

  const { enlist, strike, remove } = createSessionLists(state)

  return {
    async begin(req, token) {
      const user = await ask(req, token)
      if (user === undefined) {
        if (token === undefined) return undefined
        throw new ConsoleProblem('SIGN_IN_REFUSED', {
          detail:
            'this token is not valid. Check that it is complete and from the latest start of the server',
        })
      }
      const id = randomBytes(32).toString('base64url')
      const rights = [...user.rights]
      const stored: StoredSession = {
        name: user.name,
        rights,
        asked: token === undefined,
        ...(token !== undefined && tokens !== undefined && { token: tokenMark(token) }),
        begun: now(),
        seen: now(),
      }
      await enlist(user.name, keyOf(id))
      if (!(await state.replace(keyOf(id), undefined, JSON.stringify(stored), lifetimeOf(now()))))
        throw new UnavailableError('a session could not be stored')
      return { ...sessionOf(id, user.name, rights), byApp: stored.asked }
    },

    async find(req) {
      const byToken = await byBearer(req)
      if (byToken !== undefined) return byToken
      const id = cookieOf(req)
      if (id === undefined) return undefined
      const text = await state.read(keyOf(id))
      if (text === undefined) return undefined
      const stored = JSON.parse(text) as StoredSession
      const idle = now() - stored.seen
      if (idle > idleTimeout || now() - stored.begun > LONGEST) {
        await state.replace(keyOf(id), text, undefined, 0)
        return undefined
      }
      if (idle > Math.min(NOTED_EVERY, idleTimeout / 2)) {
        const seen = JSON.stringify({ ...stored, seen: now() })
        await state.replace(keyOf(id), text, seen, lifetimeOf(stored.begun))
      }
      if (!stored.asked && tokens === undefined) return sessionOf(id, stored.name, stored.rights)
      // Shared state outlives the list of tokens, so the rights are read from the current list.
      const user = stored.asked ? await ask(req) : tokens?.get(stored.token ?? '')
      return user?.name === stored.name
        ? { ...sessionOf(id, user.name, [...user.rights]), byApp: stored.asked }
        : undefined
    },

    async end({ id, name }) {
      await remove(keyOf(id))
      await strike(name, keyOf(id))
    },
  }
}

/** The list of the sessions of each name, to limit their number. */
function createSessionLists(state: ConsoleState): {
  enlist(name: string, key: string): Promise<void>
  strike(name: string, key: string): Promise<void>
  remove(key: string): Promise<void>
} {
  return { enlist, strike, remove }

  /** Adds a session to the list of its name. If there are too many, the oldest ones end. */
  async function enlist(name: string, key: string): Promise<void> {
    const list = listOf(name)
    for (let tries = 0; tries < TRIES; tries += 1) {
      const text = await state.read(list)
      const keys = [...(text === undefined ? [] : (JSON.parse(text) as string[])), key]
      const left = keys.splice(0, Math.max(keys.length - MOST_OF_ONE, 0))
      if (!(await state.replace(list, text, JSON.stringify(keys), LONGEST))) continue
      for (const old of left) await remove(old)
      return
    }
    throw new UnavailableError('the list of sessions of a user could not be written')
  }

  async function remove(key: string): Promise<void> {
    const text = await state.read(key)
    if (text !== undefined) await state.replace(key, text, undefined, 0)
  }

  async function strike(name: string, key: string): Promise<void> {
    const text = await state.read(listOf(name))
    if (text === undefined) return
    const keys = (JSON.parse(text) as string[]).filter((other) => other !== key)
    // After a conflict the session stays on the list, which is harmless.
    await state.replace(listOf(name), text, JSON.stringify(keys), LONGEST)
  }
}

function sessionOf(id: string, name: string, rights: readonly ConsoleRight[]): Session {
  return { id, name, rights: new Set(rights), csrf: digest(`csrf\0${id}`) }
}

/** Stored under a digest, so that nobody can use what they read from the state to take over a session. */
const keyOf = (id: string): string => `session:${digest(`session\0${id}`)}`

/** The key of the list of a user's sessions, oldest first. */
const listOf = (name: string): string => `sessions-of:${digest(`name\0${name}`)}`

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url')

const ID = /^[\w-]{43}$/

function cookieOf({ headers }: GuardRequest): string | undefined {
  const values = (headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim().split('='))
    .filter(([name]) => name === SESSION_COOKIE)
    .map(([, value = '']) => value)
  const [value = ''] = values
  // Two cookies with this name: somebody has planted one.
  return values.length === 1 && ID.test(value) ? value : undefined
}

/** The token of `Authorization: Bearer …` (RFC 6750, 2.1). */
const bearerOf = ({ headers: { authorization = '' } }: GuardRequest): string | undefined =>
  /^bearer +(.{1,1000})$/i.exec(authorization)?.[1]

/** Whether the request comes from a page that can read the token of the session, or from a program with its own token. */
export function provesOrigin({ headers }: GuardRequest, { csrf, byToken }: Session): boolean {
  if (byToken === true) return true
  const given = headers['x-csrf-token']
  if (typeof given !== 'string') return false
  const [one, other] = [Buffer.from(given), Buffer.from(csrf)]
  return one.length === other.length && timingSafeEqual(one, other)
}

/** Whether the browser says that another site sent this request. A caller that is not a browser has no cookie to misuse. */
export function comesFromElsewhere({ headers }: GuardRequest): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site !== 'same-origin'
  const { origin, host } = headers
  if (origin === undefined) return false
  return !URL.canParse(origin) || new URL(origin).host !== host
}
