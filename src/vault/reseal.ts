import { isPortcullisError, isUnreadable, type SealedError } from '../errors.ts'
import { aFunction, checkOptions, objectWith, required } from '../options.ts'
import type { Vault } from './vault.ts'

/** One string that a vault has sealed, where it lies. */
export interface SealedEntry {
  readonly sealed: string
  /** What it is sealed in. Left out where it is not known: the entry is a copy, and is removed in place of being resealed. */
  readonly context?: string | undefined
}

export interface SealedChange {
  readonly entry: SealedEntry
  /** What takes its place; `undefined` for an entry without a context. */
  readonly after: string | undefined
}

/** Some of the sealed strings of a place, which are looked at and replaced together. */
export interface SealedBatch {
  readonly entries: readonly SealedEntry[]
  /** Puts each change in its place where what it replaces still stands; resolves with how many were put. */
  replace(changes: readonly SealedChange[]): Promise<number>
}

/** All sealed strings of one kind: the keys of apps, change notes, people. */
export interface SealedPlace {
  /** `keys of apps`. */
  readonly name: string
  batches(): AsyncIterable<SealedBatch>
}

/** What keeps sealed strings: a store, a snapshot, a field vault, the people of the audit. */
export interface SealedHolder {
  sealedPlaces(): readonly SealedPlace[]
}

/** What was found in one place. */
export interface PlaceReport {
  readonly name: string
  /** How many strings were looked at. */
  readonly looked: number
  /** How many of them were sealed anew, or removed where they are copies. */
  readonly resealed: number
  /** How many cannot be opened, by the reason. */
  readonly unreadable: Readonly<Record<string, number>>
  /** How many strings each key of the vault has sealed, now. */
  readonly sealedBy: Readonly<Record<string, number>>
}

export interface ResealReport {
  readonly places: readonly PlaceReport[]
  /** How many strings each key has sealed, in all places: what still needs it. */
  readonly sealedBy: Readonly<Record<string, number>>
  /** Whether the active key has sealed all of them: the other keys may be destroyed. */
  readonly done: boolean
}

export interface ResealOptions {
  readonly vault: Vault
  /** What to look through: `[store, snapshot, people, fields]`. */
  readonly holders: readonly SealedHolder[]
  /** Told after each batch how far the place has come. */
  readonly onProgress?: ((report: PlaceReport) => void) | undefined
  /** Ends it between two batches: it resolves with what was found until then, and is not done. */
  readonly signal?: AbortSignal | undefined
}

/** How often a place is gone through where others write to it meanwhile. */
const MOST_PASSES = 5

/**
 * Seals everything again with the active key that other keys have sealed. It can be interrupted at any time, even by a crash, and
 * run again: strings sealed by the active key are only read. Others may write meanwhile; their changes are kept, and read again.
 * First give all processes the vault with the new key, or they will continue to seal with the old one.
 *
 * Rejects with `UnavailableError` when a place cannot be reached.
 *
 * @throws ConfigError (as a rejection)
 */
export async function reseal(options: ResealOptions): Promise<ResealReport> {
  const checked = checkReseal('reseal', options)
  const places: PlaceReport[] = []
  for (const place of placesOf(checked)) places.push(await resealPlace(place, checked))
  return reportOf(checked, places)
}

/** Like {@link reseal}, but changes nothing: reports which keys are still in use. */
export async function keysInUse(options: ResealOptions): Promise<ResealReport> {
  const checked = checkReseal('keysInUse', options)
  const places: PlaceReport[] = []
  for (const place of placesOf(checked)) places.push((await goThrough(place, checked, false)).report)
  return reportOf(checked, places)
}

function checkReseal(name: string, options: ResealOptions): ResealOptions {
  return checkOptions<ResealOptions>(name, options, {
    vault: required(objectWith('a vault made by createVault()', 'seal', 'open', 'reseal', 'keyIdOf')),
    holders: required({
      expected: 'an array of stores, snapshots, people or field vaults',
      accepts: (value) => Array.isArray(value) && (value as unknown[]).every(isHolder),
    }),
    onProgress: aFunction,
    signal: objectWith('an AbortSignal', 'addEventListener'),
  })
}

function isHolder(value: unknown): boolean {
  return typeof (value as Partial<SealedHolder> | null)?.sealedPlaces === 'function'
}

function placesOf({ holders }: ResealOptions): readonly SealedPlace[] {
  return holders.flatMap((holder) => holder.sealedPlaces())
}

async function resealPlace(place: SealedPlace, options: ResealOptions): Promise<PlaceReport> {
  let resealed = 0
  for (let passes = 1; ; passes += 1) {
    const { report, missed } = await goThrough(place, options, true)
    resealed += report.resealed
    // What somebody else has changed meanwhile may be sealed by an old key again.
    if (missed === 0 || passes === MOST_PASSES || options.signal?.aborted === true)
      return { ...report, resealed }
  }
}

/** Goes through a place once. `missed`: how many strings somebody else has changed between look and write. */
async function goThrough(
  { name, batches }: SealedPlace,
  { vault, onProgress, signal }: ResealOptions,
  changing: boolean,
): Promise<{ readonly report: PlaceReport; readonly missed: number }> {
  const active = activeOf(vault)
  const tally = { looked: 0, resealed: 0, missed: 0 }
  const [unreadable, sealedBy] = [new Map<string, number>(), new Map<string, number>()]
  const add = (counts: Map<string, number>, key: string, more: number): void => {
    if (more > 0) counts.set(key, (counts.get(key) ?? 0) + more)
  }
  const report = (): PlaceReport => ({
    name,
    looked: tally.looked,
    resealed: tally.resealed,
    unreadable: Object.fromEntries(unreadable),
    sealedBy: Object.fromEntries(sealedBy),
  })
  for await (const batch of batches()) {
    const changes: SealedChange[] = []
    for (const entry of batch.entries) {
      tally.looked += 1
      const by = vault.keyIdOf(entry.sealed)
      const change = changing && by !== active ? changeOf(vault, entry) : undefined
      if (typeof change === 'object') changes.push(change)
      else add(sealedBy, by ?? 'unknown', 1)
      if (typeof change === 'string') add(unreadable, change, 1)
    }
    const put = changes.length === 0 ? 0 : await batch.replace(changes)
    tally.resealed += put
    tally.missed += changes.length - put
    // A copy that was removed is sealed by no key any more.
    if (changes[0]?.after !== undefined) add(sealedBy, active, put)
    // Who has written in between is found out in the next pass.
    add(sealedBy, 'unknown', changes.length - put)
    onProgress?.(report())
    if (signal?.aborted === true) break
  }
  return { report: report(), missed: tally.missed }
}

/** The change, or the reason why the entry cannot be opened. */
function changeOf(vault: Vault, entry: SealedEntry): SealedChange | string {
  if (entry.context === undefined) return { entry, after: undefined }
  try {
    return { entry, after: vault.reseal(entry.sealed, entry.context) }
  } catch (error) {
    if (!isPortcullisError(error) || !isUnreadable(error)) throw error
    return (error as Partial<SealedError>).reason ?? 'SEALED_DAMAGED'
  }
}

function activeOf(vault: Vault): string {
  return vault.keys.find(({ state }) => state === 'active')?.id ?? ''
}

function reportOf({ vault, signal }: ResealOptions, places: readonly PlaceReport[]): ResealReport {
  const sealedBy: Record<string, number> = {}
  for (const place of places) {
    for (const [id, count] of Object.entries(place.sealedBy)) sealedBy[id] = (sealedBy[id] ?? 0) + count
  }
  const active = activeOf(vault)
  const done = signal?.aborted !== true && Object.keys(sealedBy).every((id) => id === active)
  return { places, sealedBy, done }
}
