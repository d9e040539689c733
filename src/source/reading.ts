import { createHash } from 'node:crypto'
import { withDeadline } from '../deadline.ts'
import { UnavailableError, UnreadableError } from '../errors.ts'
import { compilePolicy, parsePolicy, weighPolicy, type NamedLists } from '../policy/index.ts'
import { parseAppKeys } from '../signature/keys.ts'
import type { PolicyStore, StoredApp } from '../store/contract.ts'
import type { Breaker } from './breaker.ts'
import type { App } from './contract.ts'

/** What was read of an app, and what came of it. */
export interface Reading {
  readonly app: App
  /** About how many bytes it takes. */
  readonly weight: number
  /** Tells whether two readings are of the same content. */
  readonly digest: string
  readonly stored: StoredApp
  readonly lists: NamedLists
}

/** What is kept of an earlier reading, so that what has not changed is not made again. */
export type Known = Pick<Reading, 'app' | 'weight' | 'digest'>

/** Asks the store: no longer than the deadline, and not at all while the breaker is open. */
export interface Reader {
  /** Rejects with what the store rejects with, with `UnavailableError` or with `PolicyError`. */
  read(appId: string, known: Known | undefined): Promise<Reading | undefined>
  ask<T>(question: () => PromiseLike<T>): Promise<T>
  readonly reads: number
  readonly failures: number
}

/** The store was not asked. Not worth a report for each that comes in vain. */
export class SparedError extends UnavailableError {}

export function createReader(store: PolicyStore, breaker: Breaker, readTimeout: number): Reader {
  let reads = 0
  let failures = 0

  async function ask<T>(question: () => PromiseLike<T>): Promise<T> {
    if (!breaker.admits()) throw new SparedError('the store failed repeatedly, and is not asked for a moment')
    reads += 1
    try {
      const answer = await withDeadline(question(), readTimeout, 'the store')
      breaker.succeeded()
      return answer
    } catch (error) {
      failures += 1
      // A store that finds a damaged app has looked.
      if (isUnreadable(error)) breaker.succeeded()
      else breaker.failed()
      throw error
    }
  }

  async function readLists(names: readonly string[]): Promise<NamedLists> {
    const lists = new Map<string, readonly string[]>()
    for (const name of names) {
      const ranges = store.readList && (await ask(() => store.readList?.(name) ?? Promise.resolve(undefined)))
      if (ranges !== undefined) lists.set(name, ranges)
    }
    return lists
  }

  return {
    ask,
    get reads() {
      return reads
    },
    get failures() {
      return failures
    },
    async read(appId, known) {
      const stored = await ask(() => store.read(appId))
      if (stored === undefined) return undefined
      return understand(appId, stored, readLists, known)
    },
  }
}

/**
 * @throws PolicyError, UnavailableError when it is of another app
 */
export async function understand(
  appId: string,
  stored: StoredApp,
  readLists: (names: readonly string[]) => NamedLists | Promise<NamedLists>,
  known?: Known,
): Promise<Reading> {
  const content = createHash('sha256').update(JSON.stringify([stored.policy, stored.keys]))
  const none: NamedLists = new Map()
  const digest = content.digest('base64')
  // A list may have changed by itself, so only an app without lists is known to be the same.
  if (known?.digest === digest && known.app.revision === stored.revision)
    return { ...known, stored, lists: none }
  const policy = parsePolicy(stored.policy)
  if (policy.appId !== appId)
    throw new UnreadableError('the store answered with another app than was asked for')
  const names = policy.ipWhitelist?.lists ?? []
  const lists = names.length === 0 ? none : await readLists(names)
  const app = {
    appId,
    revision: stored.revision,
    policy: compilePolicy(policy, lists, known?.app.policy),
    keys: parseAppKeys(stored.keys ?? []),
  }
  return {
    app,
    weight: weighPolicy(policy, lists),
    digest: names.length === 0 ? digest : '',
    stored,
    lists,
  }
}

/** Whether the store has looked, and could not use what it found. */
export function isUnreadable(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && (error as Partial<UnreadableError>).unreadable === true
  )
}
