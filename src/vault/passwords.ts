import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type * as Library from '@node-rs/argon2'
import { ConfigError, UnavailableError, UnreadableError, UsageError } from '../errors.ts'
import { checkOptions, wholeNumber } from '../options.ts'

/** The costs of a hash, and how many hashes run at once. */
export interface PasswordsOptions {
  /** How much memory one hash takes, in KiB. Default 19,456, which is 19 MiB. */
  readonly memory?: number | undefined
  /** How many passes over the memory. Default 2. */
  readonly passes?: number | undefined
  /** The number of lanes (parallelism). Default 1. */
  readonly lanes?: number | undefined
  /** How many hashes run at once. Default: the number of available processors. */
  readonly atOnce?: number | undefined
  /** How many hashes may wait for their turn; further ones are refused. Default 256. */
  readonly waiting?: number | undefined
}

/** Hashes passwords with argon2id (RFC 9106). Needs the package `@node-rs/argon2`. */
export interface Passwords {
  /**
   * Resolves with the hash of a password, with a random salt, as a PHC string. The password is normalised to NFC, and never
   * truncated.
   *
   * Rejects with `UnavailableError` if too many hashes are waiting, with `UsageError` if the password is not a string of 1 to
   * 4,096 characters, and with `ConfigError` if `@node-rs/argon2` is not installed.
   */
  hash(password: string): Promise<string>
  /**
   * Resolves with whether the password matches the hash; a string that is empty or too long never does. If `stored` is
   * `undefined` because there is no such person, it takes as long and resolves with `false`. Rejects as `hash` does for a full
   * queue or a missing package, with `UsageError` if the password is not a string, and with `UnreadableError` if `stored` is not
   * an argon2id hash.
   */
  verify(stored: string | undefined, password: string): Promise<boolean>
  /**
   * Whether a hash was made with other costs than the current ones. If so, hash the password again after a sign-in, and store the
   * new hash.
   */
  needsRehash(stored: string): boolean
}

type Argon2 = Pick<typeof Library, 'hash' | 'verify'>

const LONGEST_PASSWORD = 4_096
/** The most memory that a stored hash may ask for, in KiB. Otherwise somebody who can write hashes could use up the memory. */
const MOST_MEMORY = 1_048_576
const MOST_PASSES = 64
const MOST_LANES = 64
const HASH =
  /^\$argon2id\$v=19\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$/

/** The minimum that OWASP recommends for argon2id, in KiB and passes; all rows are equally strong. */
const OWASP: readonly (readonly [memory: number, passes: number])[] = [
  [47_104, 1],
  [19_456, 2],
  [12_288, 3],
  [9_216, 4],
  [7_168, 5],
]

/**
 * Creates a hasher for passwords.
 *
 * @throws ConfigError, also if the costs are below the OWASP recommendation.
 */
export function createPasswords(options: PasswordsOptions = {}): Passwords {
  const checked = checkOptions<PasswordsOptions>('createPasswords', options, {
    memory: wholeNumber('KiB', 7_168, MOST_MEMORY),
    passes: wholeNumber('passes', 1, MOST_PASSES),
    lanes: wholeNumber('lanes', 1, MOST_LANES),
    atOnce: wholeNumber('passwords', 1, 1_024),
    waiting: wholeNumber('passwords', 0, 1_000_000),
  })
  const { memory = 19_456, passes = 2 } = checked
  if (!OWASP.some(([least, times]) => memory >= least && passes >= times))
    throw new ConfigError(
      'createPasswords',
      `at least one of ${OWASP.map(([least, times]) => `memory ${least} with passes ${times}`).join(', ')}`,
      `memory ${memory} with passes ${passes}`,
    )
  return new Argon2Passwords(checked)
}

class Argon2Passwords implements Passwords {
  readonly #parameters: {
    readonly memoryCost: number
    readonly timeCost: number
    readonly parallelism: number
  }
  readonly #turns: Turns
  #nobody: Promise<string> | undefined

  constructor({ memory, passes, lanes, atOnce, waiting }: PasswordsOptions) {
    this.#parameters = { memoryCost: memory ?? 19_456, timeCost: passes ?? 2, parallelism: lanes ?? 1 }
    this.#turns = new Turns(atOnce ?? availableParallelism(), waiting ?? 256)
  }

  async hash(password: string): Promise<string> {
    const text = checkedPassword(password)
    const argon2 = await load()
    return this.#turns.take(() => argon2.hash(text, this.#parameters))
  }

  async verify(stored: string | undefined, password: string): Promise<boolean> {
    if (typeof password !== 'string') throw new UsageError('a password must be a string')
    // A longer string cannot be the password, and normalising takes time that grows with the square of the length.
    const isLong = password.length > LONGEST_PASSWORD
    const text = isLong ? '' : password.normalize('NFC')
    const argon2 = await load()
    const nobody = await this.#nobodysHash()
    const readable = stored === undefined || isHash(stored)
    const isRight = await this.#turns.take(() =>
      argon2.verify(stored === undefined || !readable ? nobody : stored, text),
    )
    if (!readable) throw new UnreadableError('the stored value is not an argon2id hash')
    return stored !== undefined && isRight && !isLong
  }

  needsRehash(stored: string): boolean {
    const [, memory, passes, lanes] = HASH.exec(stored) ?? []
    const { memoryCost, timeCost, parallelism } = this.#parameters
    return Number(memory) !== memoryCost || Number(passes) !== timeCost || Number(lanes) !== parallelism
  }

  /** The hash of a random password. Verifying against it takes as long as against the hash of an existing person. */
  #nobodysHash(): Promise<string> {
    this.#nobody ??= this.hash(randomBytes(32).toString('base64')).catch((error: unknown) => {
      this.#nobody = undefined
      throw error
    })
    return this.#nobody
  }
}

/** Whether it is an argon2id hash with acceptable costs. */
function isHash(stored: string): boolean {
  const [, memory = '0', passes = '0', lanes = '0'] = HASH.exec(stored) ?? []
  const [m, t, p] = [Number(memory), Number(passes), Number(lanes)]
  return m >= 8 * p && m <= MOST_MEMORY && t >= 1 && t <= MOST_PASSES && p >= 1 && p <= MOST_LANES
}

function checkedPassword(password: string): string {
  if (typeof password !== 'string' || password === '' || password.length > LONGEST_PASSWORD)
    throw new UsageError(`a password must be a string of 1 to ${LONGEST_PASSWORD} characters`)
  return password.normalize('NFC')
}

/** Limits how many tasks run at once, and how many wait. */
class Turns {
  readonly #atOnce: number
  readonly #most: number
  readonly #waiting: (() => void)[] = []
  #working = 0

  constructor(atOnce: number, most: number) {
    this.#atOnce = atOnce
    this.#most = most
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#working >= this.#atOnce) {
      if (this.#waiting.length >= this.#most)
        throw new UnavailableError('too many passwords are waiting to be hashed')
      // A finished task passes its turn on, so that no later caller overtakes those that wait.
      await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    } else this.#working += 1
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#working -= 1
      else next()
    }
  }
}

let loading: Promise<Argon2> | undefined

function load(): Promise<Argon2> {
  loading ??= import('@node-rs/argon2').catch(() => {
    loading = undefined
    throw new ConfigError(
      'hashPassword',
      'used with the package `@node-rs/argon2` installed (npm install @node-rs/argon2)',
      'a process that cannot load it',
    )
  })
  return loading
}

let usual: Passwords | undefined
const usualPasswords = (): Passwords => (usual ??= createPasswords())

/** `hash` of {@link createPasswords} with its defaults: argon2id with the costs that OWASP recommends. */
export function hashPassword(password: string): Promise<string> {
  return usualPasswords().hash(password)
}

/** `verify` of {@link createPasswords} with its defaults. */
export function verifyPassword(stored: string | undefined, password: string): Promise<boolean> {
  return usualPasswords().verify(stored, password)
}

/** `needsRehash` of {@link createPasswords} with its defaults. */
export function needsRehash(stored: string): boolean {
  return usualPasswords().needsRehash(stored)
}
