import { isPortcullisError, isUnreadable, type SealedError } from '../errors.ts'
import { aFunction, checkOptions, objectWith, required } from '../options.ts'
import type { Vault } from './vault.ts'

/** One stored string that a vault has sealed. */
export interface SealedEntry {
  readonly sealed: string
  /** The context it is sealed in. Left out if it is unknown: the entry is a copy, and is removed instead of resealed. */
  readonly context?: string | undefined
}

export interface SealedChange {
  readonly entry: SealedEntry
  /** The new string; `undefined` for an entry without a context. */
  readonly after: string | undefined
}

/** Some of the sealed strings of a place, which are read and replaced together. */
export interface SealedBatch {
  readonly entries: readonly SealedEntry[]
  /** Makes each change whose old string is still stored; resolves with the number of changes made. */
  replace(changes: readonly SealedChange[]): Promise<number>
}

/** All sealed strings of one kind: the keys of apps, change notes, people. */
export interface SealedPlace {
  /** Such as `keys of apps`. */
  readonly name: string
  batches(): AsyncIterable<SealedBatch>
}

/** Something that stores sealed strings: a store, a snapshot, a field vault, the people of the audit. */
export interface SealedHolder {
  sealedPlaces(): readonly SealedPlace[]
}

/** The result for one place. */
export interface PlaceReport {
  readonly name: string
  /** How many strings were read. */
  readonly looked: number
  /** How many of them were sealed again, or removed because they were copies. */
  readonly resealed: number
  /** How many strings cannot be opened, by reason. */
  readonly unreadable: Readonly<Record<string, number>>
  /** How many strings each key of the vault seals now. */
  readonly sealedBy: Readonly<Record<string, number>>
}

export interface ResealReport {
  readonly places: readonly PlaceReport[]
  /** How many strings each key seals in all places, that is, what still needs the key. */
  readonly sealedBy: Readonly<Record<string, number>>
  /** Whether the active key seals all strings. If so, the other keys may be destroyed. */
  readonly done: boolean
}

export interface ResealOptions {
  readonly vault: Vault
  /** Where to look: `[store, snapshot, people, fields]`. */
  readonly holders: readonly SealedHolder[]
  /** Called after each batch with the results of the place so far. */
  readonly onProgress?: ((report: PlaceReport) => void) | undefined
  /** Stops between two batches. The result then has what was found so far, and `done` is false. */
  readonly signal?: AbortSignal | undefined
}

/** How often a place is read again if others write to it meanwhile. */
const MOST_PASSES = 5

/**
 * Seals every string again that another key than the active one has sealed. It may be interrupted at any time, even by a crash,
 * and run again: strings sealed by the active key are only read. Others may write meanwhile; their changes are kept, and read
 * again. First give all processes the vault with the new key. Otherwise they continue to seal with the old one.
 *
 * Rejects with `UnavailableError` if a place cannot be reached.
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
    // A string that someone changed meanwhile may be sealed by an old key again.
    if (missed === 0 || passes === MOST_PASSES || options.signal?.aborted === true)
      return { ...report, resealed }
  }
}

/** Reads a place once. `missed` is the number of strings that someone changed between the read and the write. */
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
    // A copy that was removed needs no key any longer.
    if (changes[0]?.after !== undefined) add(sealedBy, active, put)
    // The next pass finds out which key sealed them.
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
