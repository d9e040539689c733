import { LRUCache } from 'lru-cache'
import type { ListEntry } from '../list/entry.ts'
import { createExpiringIpSetBuilder } from '../match/expiring-ip-set.ts'
import { compilePolicy, type CompiledPolicy } from '../policy/compile.ts'
import { missingList, type NamedSet } from '../policy/named-lists.ts'
import { readPolicy } from '../policy/parse.ts'

/** The document of an app at a revision; `undefined` where it is not known any more. */
export type PolicyOf = (appId: string, revision: number) => unknown

/** The entries of a named list at a revision; `undefined` where they are not known any more. */
export type ListOf = (
  name: string,
  revision: number | undefined,
) => Iterable<ListEntry> | undefined | PromiseLike<Iterable<ListEntry> | undefined>

/** A policy with the lists that it names, as they were. */
export interface JudgedPolicy {
  readonly policy: CompiledPolicy
  /** Whether a list is not known any more. */
  readonly missing: boolean
}

const REMEMBERED = 1_000

/** The policies that recorded requests were judged by, each compiled once. */
export class JudgingPolicies {
  readonly #policyOf: PolicyOf
  readonly #listOf: ListOf | undefined
  readonly #known = new LRUCache<string, Promise<JudgedPolicy | undefined>>({ max: REMEMBERED })

  constructor(policyOf: PolicyOf, listOf: ListOf | undefined) {
    this.#policyOf = policyOf
    this.#listOf = listOf
  }

  /** `undefined` where there is no such policy any more. */
  find(
    appId: string,
    revision: number,
    lists: Readonly<Record<string, number | undefined>>,
  ): Promise<JudgedPolicy | undefined> {
    const name = JSON.stringify([appId, revision, lists])
    const known = this.#known.get(name) ?? this.#read(appId, revision, lists)
    this.#known.set(name, known)
    return known
  }

  async #read(
    appId: string,
    revision: number,
    lists: Readonly<Record<string, number | undefined>>,
  ): Promise<JudgedPolicy | undefined> {
    const document: unknown = await this.#policyOf(appId, revision)
    if (document === undefined) return undefined
    const read = readPolicy(document)
    const { lists: admitting = [], denyLists = [] } = read.policy.ipWhitelist ?? {}
    const named = new Map<string, NamedSet>()
    let missing = false
    for (const list of new Set([...admitting, ...denyLists])) {
      const set = await this.#list(list, lists[list])
      missing ||= set === undefined
      named.set(list, set ?? missingList(list))
    }
    return { policy: compilePolicy(read, named), missing }
  }

  async #list(name: string, revision: number | undefined): Promise<NamedSet | undefined> {
    // Of no revision: the store had no such list.
    if (revision === 0) return missingList(name)
    const entries = await this.#listOf?.(name, revision)
    return entries === undefined ? undefined : setOf(name, entries)
  }
}

function setOf(name: string, entries: Iterable<ListEntry>): NamedSet {
  const builder = createExpiringIpSetBuilder()
  for (const { range, expires } of entries) {
    builder.add(range, expires === undefined ? undefined : Date.parse(expires))
  }
  const steps = builder.finish()
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  const set = step.value
  return { name, exists: true, find: (address, now) => set.find(address, now) }
}
