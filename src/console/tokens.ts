import { createHash, timingSafeEqual } from 'node:crypto'
import { ConfigError, SECRET } from '../errors.ts'
import type { ConsoleOptions, ConsoleUser } from './options.ts'
import { CONSOLE_RIGHTS, isConsoleRight, type ConsoleRight } from './rights.ts'

/** A token for one person or team. */
export interface ConsoleToken {
  /** At least 32 random characters: `openssl rand -base64 32`. */
  readonly token: string
  readonly name: string
  /** Default: all rights. */
  readonly rights?: readonly ConsoleRight[] | undefined
}

const SHORTEST = 32

/**
 * Creates the option `authorize` of `createConsole`: each token admits one person or team, with separate rights.
 *
 * @throws ConfigError
 */
export function consoleTokens(tokens: readonly ConsoleToken[]): ConsoleOptions['authorize'] {
  if (!Array.isArray(tokens) || tokens.length === 0)
    throw new ConfigError('consoleTokens', 'an array with at least one `{ token, name }`', tokens)
  const known = (tokens as readonly ConsoleToken[]).map((given, index) => read(given, index))
  const authorize: ConsoleOptions['authorize'] = ({ token }) => {
    if (typeof token !== 'string') return undefined
    const digest = digestOf(token)
    // All tokens are compared, so that the time does not reveal which one matched.
    let found: ConsoleUser | undefined
    for (const { expected, user } of known) if (timingSafeEqual(digest, expected)) found = user
    return found
  }
  const users = new Map(known.map(({ expected, user }) => [markOf(expected), user]))
  usersByMark.set(authorize, users)
  return authorize
}

/** The users of each `authorize` that `consoleTokens` created, by the marks of their tokens. */
const usersByMark = new WeakMap<ConsoleOptions['authorize'], ReadonlyMap<string, ConsoleUser>>()

/** The users by the marks of their tokens; `undefined` if `consoleTokens` did not create `authorize`. */
export function tokenUsers(
  authorize: ConsoleOptions['authorize'],
): ReadonlyMap<string, ConsoleUser> | undefined {
  return usersByMark.get(authorize)
}

/** The part of a token that a session keeps. It cannot be used to sign in. */
export const tokenMark = (token: string): string => markOf(digestOf(token))

const markOf = (digest: Buffer): string =>
  createHash('sha256').update('session\0').update(digest).digest('base64url')

function read(given: ConsoleToken, index: number): { readonly expected: Buffer; readonly user: ConsoleUser } {
  const where = `consoleTokens[${index}]`
  if (typeof given !== 'object' || given === null)
    throw new ConfigError(where, 'an object `{ token, name }`', given)
  const { token, name, rights = CONSOLE_RIGHTS } = given
  if (typeof token !== 'string' || token.length < SHORTEST)
    throw new ConfigError(`${where}.token`, `a string of at least ${SHORTEST} characters`, SECRET)
  if (!isUserName(name)) throw new ConfigError(`${where}.name`, USER_NAME_RULE, name)
  if (!Array.isArray(rights) || !rights.every(isConsoleRight))
    throw new ConfigError(`${where}.rights`, `an array of ${CONSOLE_RIGHTS.join(', ')}`, rights)
  return { expected: digestOf(token), user: { name, rights: [...rights] } }
}

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest()

export const USER_NAME_RULE = 'a string of 1 to 200 characters'

export function isUserName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 200
}
