import { createSecretKey, type KeyObject } from 'node:crypto'
import { ConfigError, SECRET, wrongOption, type ConfigIssue } from '../errors.ts'
import { issueOf, oneOf, readOptions, required, type Expectation } from '../options.ts'

/**
 * The state of a key. `active`: seals and opens; exactly one key of a ring is active. `decrypt-only`: only opens. `destroyed`: does
 * nothing; it stays in the ring so that strings it sealed can be recognised.
 */
export type KeyState = 'active' | 'decrypt-only' | 'destroyed'

export interface VaultKey {
  /** 1-32 characters of `A-Z a-z 0-9 . _ -`. It is part of every string that the key seals. */
  readonly id: string
  /** 32 random bytes, or their base64. A destroyed key has none. */
  readonly key?: string | Uint8Array | undefined
  /** Default: `active` for the first key if no other key is active, otherwise `decrypt-only`. */
  readonly state?: KeyState | undefined
}

/** A key without its bytes. */
export interface ListedVaultKey {
  readonly id: string
  readonly state: KeyState
}

export interface Ring {
  readonly activeId: string
  /** The keys that open, the active one first. */
  readonly keys: ReadonlyMap<string, KeyObject>
  /** All keys, in the given order. */
  readonly listed: readonly ListedVaultKey[]
}

const KEY_ID = /^[A-Za-z0-9._-]{1,32}$/

export const KEYS: Expectation = required({
  expected: 'an array of at least one key',
  accepts: (value) => Array.isArray(value) && value.length > 0,
  secret: true,
})

// Secret too, because somebody may have written the key in the place of its id.
const AN_ID: Expectation = required({
  expected: '1-32 characters of A-Z a-z 0-9 . _ -',
  accepts: (value) => typeof value === 'string' && KEY_ID.test(value),
  secret: true,
})

const A_KEY: Expectation = required({
  expected: '32 bytes, as a Uint8Array or in base64',
  accepts: (value) => bytesOfKey(value) !== undefined,
  secret: true,
})

const NO_KEY: Expectation = {
  expected: 'left out, because the key is destroyed',
  accepts: (value) => value === undefined,
  secret: true,
}

const A_STATE: Expectation = {
  ...oneOf('the state of a key', ['active', 'decrypt-only', 'destroyed']),
  secret: true,
}

/** One key of the options, and its path there. */
interface Given {
  readonly path: string
  readonly id: string
  readonly bytes: Uint8Array | undefined
  readonly state: KeyState | undefined
}

/**
 * Reads the keys. Errors show no given value, because any misplaced value may be a key.
 *
 * @throws ConfigError with everything that is wrong
 */
export function readRing(factory: string, options: unknown): Ring {
  const [issues, { keys }] = readOptions(factory, options, { keys: KEYS })
  const ids = new Set<string>()
  const given = (KEYS.accepts(keys) ? (keys as unknown[]) : []).flatMap((each, index) => {
    const path = `${factory}.keys[${index}]`
    const [found, key] = readKey(path, each)
    issues.push(...found)
    if (key === undefined) return []
    if (ids.has(key.id)) issues.push(wrongOption(`${path}.id`, 'an id that no other key has', SECRET))
    ids.add(key.id)
    return [key]
  })
  const active = activeOf(given)
  if (issues.length === 0) issues.push(...activeIssues(factory, active))
  const [first, ...more] = issues
  if (first !== undefined) throw new ConfigError([first, ...more])
  return ringOf(given, active[0] as Given)
}

function readKey(path: string, given: unknown): [ConfigIssue[], Given | undefined] {
  if (typeof given !== 'object' || given === null)
    return [[wrongOption(path, 'an object with `id` and `key`', SECRET)], undefined]
  // Own members only, because inherited ones are not part of the options.
  const { id, key, state } = Object.assign(Object.create(null), given) as Record<keyof VaultKey, unknown>
  const issues = [
    issueOf(`${path}.id`, id, AN_ID),
    issueOf(`${path}.state`, state, A_STATE),
    issueOf(`${path}.key`, key, state === 'destroyed' ? NO_KEY : A_KEY),
  ].filter((issue) => issue !== undefined)
  const bytes = bytesOfKey(key)
  if (typeof id !== 'string' || issues.length > 0) return [issues, undefined]
  return [issues, { path, id, bytes, state: state as KeyState | undefined }]
}

/** The active keys: those with this state, or the first one without a state. */
function activeOf(given: readonly Given[]): readonly Given[] {
  const active = given.filter(({ state }) => state === 'active')
  return active.length > 0 ? active : given.filter(({ state }) => state === undefined).slice(0, 1)
}

function activeIssues(factory: string, active: readonly Given[]): ConfigIssue[] {
  if (active.length === 0) return [wrongOption(`${factory}.keys`, 'an array with one active key', SECRET)]
  return active
    .slice(1)
    .map(({ path }) =>
      wrongOption(`${path}.state`, 'a state other than `active`, because another key is active', 'active'),
    )
}

function ringOf(given: readonly Given[], active: Given): Ring {
  const opening = [active, ...given.filter((each) => each !== active)]
  return {
    activeId: active.id,
    keys: new Map(
      opening.flatMap(({ id, bytes }): [string, KeyObject][] =>
        bytes === undefined ? [] : [[id, createSecretKey(bytes)]],
      ),
    ),
    listed: given.map(({ id, state, path }) => ({
      id,
      state: path === active.path ? 'active' : (state ?? 'decrypt-only'),
    })),
  }
}

/** The 32 bytes of a key; `undefined` if it is not 32 bytes or their base64 in its canonical form. */
export function bytesOfKey(key: unknown): Uint8Array | undefined {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : key
  if (!(bytes instanceof Uint8Array) || bytes.length !== 32) return undefined
  return typeof key !== 'string' || Buffer.from(bytes).toString('base64') === key ? bytes : undefined
}
