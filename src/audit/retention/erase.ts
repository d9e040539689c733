import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createPseudonyms } from '../event.ts'
import type { FrameStore } from '../log/frame-store.ts'
import type { People } from '../people/people.ts'
import { ownEvent } from '../reading/own-event.ts'
import type { AuditSink } from '../sink.ts'

export interface EraseOptions {
  readonly store: FrameStore
  readonly people: People
  /** The key with which `auditAccess` makes pseudonyms. */
  readonly pseudonymKey: Uint8Array
  /** The sink that records the erasure, without the person. */
  readonly sink: AuditSink
  /** Makes the store rewrite its files, so that they no longer contain deleted data: `() => rewriteRedis(redis)`. */
  readonly rewrite?: (() => Promise<void>) | undefined
  readonly purpose?: string | undefined
  readonly now?: (() => number) | undefined
}

/** The result of an erasure. */
export interface Erased {
  /** How many of the people had secrets. */
  readonly people: number
  /** How many secrets were destroyed. */
  readonly secrets: number
  /** Strings that must no longer exist anywhere: search for them with `searchTraces`. */
  readonly traces: readonly string[]
}

/**
 * Erases people: destroys their secrets and their entries in the index, and makes the store rewrite its files once. Their events
 * stay and can still be verified, but can no longer be linked to them.
 */
export async function erasePeople(ids: readonly string[], options: EraseOptions): Promise<Erased> {
  const { store, people, pseudonymKey, sink, rewrite, purpose, now = Date.now } = options
  const pseudonymise = createPseudonyms(pseudonymKey)
  const traces: string[] = []
  let [found, secrets] = [0, 0]
  for (const id of ids) {
    const before = secrets
    // As a person whose data was read, and as an actor who read.
    for (const name of [pseudonymise('person', id), pseudonymise('actor', id)]) {
      for (const pseudonym of await people.pseudonymsOf(name)) await store.forgetPerson(pseudonym)
      traces.push(name, ...(await people.sealedOf(name)))
      secrets += await people.erase(name)
    }
    if (secrets > before) found += 1
    traces.push(id)
  }
  await sink.write([ownEvent({ operation: 'audit erase', time: new Date(now()).toISOString(), purpose })])
  await rewrite?.()
  return { people: found, secrets, traces }
}

/** A trace that was found. */
export interface Trace {
  readonly path: string
  /** Its encoding: `plain`, `hex`, `base64`, `reversed`, `url`. */
  readonly form: string
}

const CHUNK = 4_194_304
/** Shorter strings are found by chance. */
const SHORTEST = 4

/** Searches all files of directories for strings: plain, reversed, and in hex, base64 and URL encoding. */
export async function searchTraces(
  directories: readonly string[],
  traces: readonly string[],
): Promise<readonly Trace[]> {
  const needles = traces.filter((trace) => trace.length >= SHORTEST).flatMap(formsOf)
  const found: Trace[] = []
  for (const directory of directories) {
    for (const name of await readdir(directory, { recursive: true, encoding: 'utf8' })) {
      const path = join(directory, name)
      if (!(await stat(path)).isFile()) continue
      for (const form of await searchFile(path, needles)) found.push({ path, form })
    }
  }
  return found
}

interface Needle {
  readonly form: string
  readonly bytes: Buffer
}

function formsOf(trace: string): Needle[] {
  const bytes = Buffer.from(trace)
  // In base64, a string looks different at each of three offsets. Its edges depend on its neighbours, and are left out.
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/={1,2}$/, '')
    return { form: 'base64', bytes: Buffer.from(text.slice(offset === 0 ? 0 : offset + 1, -1)) }
  })
  return [
    { form: 'plain', bytes },
    { form: 'hex', bytes: Buffer.from(bytes.toString('hex')) },
    ...base64,
    { form: 'reversed', bytes: Buffer.from(bytes).reverse() },
    { form: 'url', bytes: Buffer.from(encodeURIComponent(trace)) },
  ]
}

async function searchFile(path: string, needles: readonly Needle[]): Promise<readonly string[]> {
  const longest = Math.max(0, ...needles.map(({ bytes }) => bytes.length))
  const found = new Set<string>()
  const file = await open(path, 'r')
  try {
    let rest = Buffer.alloc(0)
    for (let offset = 0; ;) {
      const bytes = Buffer.alloc(CHUNK)
      const { bytesRead } = await file.read(bytes, 0, CHUNK, offset)
      if (bytesRead === 0) return [...found]
      const text = Buffer.concat([rest, bytes.subarray(0, bytesRead)])
      for (const { form, bytes: needle } of needles) if (text.includes(needle)) found.add(form)
      rest = text.subarray(Math.max(0, text.length - longest))
      offset += bytesRead
    }
  } finally {
    await file.close()
  }
}
