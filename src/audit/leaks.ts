import { isAnyArrayBuffer, isArrayBufferView, isDate, isMap, isSet } from 'node:util/types'
import type { ModelRules } from './models.ts'
import { inheritedFields, isPlain, printedText } from './personal-value.ts'
import { fieldName } from './field-name.ts'
import type { SealedRecord } from './session-contract.ts'

/** A field of a sealed record whose value was found although no read of the field is recorded. */
export interface Leak {
  readonly sealed: SealedRecord
  readonly field: string
}

/** What the search for leaks needs to know about a request. */
export interface RecordedReads {
  readonly sealed: readonly SealedRecord[]
  isRead(sealed: SealedRecord, field: string): boolean
  /** Texts that the response may contain for other reasons, such as what the caller sent. */
  readonly known: readonly string[]
}

/** Shorter texts occur in many responses by chance. */
const SHORTEST = 5
const SHORTEST_NUMBER = 6
/** From this length on, a text counts even inside a longer word. */
const SURE = 12
/** How many values of one request are searched for, to limit the cost. */
const MOST_VALUES = 20_000

/**
 * Finds personal values in a text that was sent or is about to be sent, for which no read is recorded. The text is searched
 * unchanged, and with the escapes of JSON, HTML and URLs decoded. A value is ignored if the same value was also read, of any
 * person, or if it is part of a value that was read. The cost is linear in the text, whatever the number of values.
 *
 * It cannot find every leak: values of fewer than five characters and transformed values are not found.
 */
export function findLeaks(text: string, reads: RecordedReads): Leak[] {
  const { unread, known } = valuesOf(reads)
  if (unread.size === 0) return []
  const search = new Search(unread, known)
  for (const reading of readingsOf(text)) search.look(reading)
  return [...search.found]
}

interface Values {
  readonly unread: ReadonlyMap<string, readonly Leak[]>
  readonly known: ReadonlySet<string>
}

/** The texts of all fields: those that must not be found, and those that may be. */
function valuesOf({ sealed, isRead, known: given }: RecordedReads): Values {
  const known = new Set(given)
  const unread = new Map<string, Leak[]>()
  const secret = new Map<string, Leak[]>()
  let left = MOST_VALUES
  for (const each of sealed) {
    for (const { field, value, kind } of fieldsOf(each.record, each.model)) {
      for (const text of textsOf(value)) {
        if ((left -= 1) < 0) break
        const values = kind === 'secret' ? secret : unread
        if (kind === 'open' || (kind === 'personal' && isRead(each, field))) known.add(text)
        else values.set(text, [...(values.get(text) ?? []), { sealed: each, field }])
      }
    }
  }
  for (const text of known) unread.delete(text)
  // A secret must not be sent, even if it was read.
  for (const [text, leaks] of secret) unread.set(text, leaks)
  for (const text of secret.keys()) known.delete(text)
  return { unread, known }
}

class Search {
  readonly found = new Set<Leak>()
  readonly #byBeginning = new Map<string, string[]>()
  readonly #unread: Values['unread']
  readonly #known: Values['known']

  constructor(unread: Values['unread'], known: Values['known']) {
    this.#unread = unread
    this.#known = known
    for (const text of unread.keys()) {
      const beginning = text.slice(0, SHORTEST)
      this.#byBeginning.set(beginning, [...(this.#byBeginning.get(beginning) ?? []), text])
    }
  }

  look(text: string): void {
    for (let at = 0; at + SHORTEST <= text.length; at += 1) {
      const candidates = this.#byBeginning.get(text.substring(at, at + SHORTEST))
      if (candidates === undefined) continue
      for (const value of candidates) {
        if (
          !text.startsWith(value, at) ||
          !standsAlone(text, at, value) ||
          this.#isPartOfKnown(text, at, value)
        )
          continue
        for (const leak of this.#unread.get(value) ?? []) this.found.add(leak)
      }
    }
  }

  /** Whether the find is part of a value that may occur: a surname inside a full name that was read. */
  #isPartOfKnown(text: string, at: number, value: string): boolean {
    for (const known of this.#known) {
      for (let inside = known.indexOf(value); inside !== -1; inside = known.indexOf(value, inside + 1)) {
        if (text.startsWith(known, at - inside)) return true
      }
    }
    return false
  }
}

const WORD = /[\p{L}\p{N}]/u

function standsAlone(text: string, at: number, value: string): boolean {
  if (value.length >= SURE) return true
  return !WORD.test(text.charAt(at - 1)) && !WORD.test(text.charAt(at + value.length))
}

/** The text unchanged, and decoded from JSON, HTML and URL escapes, also nested two deep. */
function readingsOf(text: string): ReadonlySet<string> {
  const once = [text, withoutJson(text), withoutHtml(text), withoutUrl(text)]
  const twice = [...new Set(once)].flatMap((each) => [withoutJson(each), withoutHtml(each), withoutUrl(each)])
  return new Set([...once, ...twice])
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }

function withoutJson(text: string): string {
  if (!text.includes('\\')) return text
  return text.replaceAll(/\\(?:u([\da-fA-F]{4})|([^u]))/g, (_all, code?: string, short?: string) =>
    code === undefined
      ? (SHORT_ESCAPES[short as string] ?? (short as string))
      : String.fromCharCode(parseInt(code, 16)),
  )
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function withoutHtml(text: string): string {
  if (!text.includes('&')) return text
  return text.replaceAll(
    /&(?:#x([\da-f]{1,6})|#(\d{1,7})|(amp|lt|gt|quot|apos));/gi,
    (all: string, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? all
      const code = hex === undefined ? Number(decimal) : parseInt(hex, 16)
      return code <= 0x10ffff ? String.fromCodePoint(code) : all
    },
  )
}

function withoutUrl(text: string): string {
  if (!text.includes('%')) return text
  return text.replaceAll(/(?:%[\da-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded)
    } catch {
      return encoded
    }
  })
}

interface Field {
  readonly field: string
  readonly value: unknown
  readonly kind: 'personal' | 'open' | 'secret'
}

/** Every field of a record, named as its view reports it. Rows of other models are sealed and searched separately. */
function* fieldsOf(
  record: object,
  model: ModelRules | undefined,
  path = '',
  place = '',
  depth = 0,
): Generator<Field> {
  for (const name of [...Object.keys(record), ...(inheritedFields(record) ?? [])]) {
    const value: unknown = (record as Record<string, unknown>)[name]
    const at = place + name
    const field = path + fieldName(name)
    if (model?.nested.has(at) === true) continue
    if (model?.secret.has(at) === true) yield { field, value, kind: 'secret' }
    else if (model?.open.has(at) === true) yield { field, value, kind: 'open' }
    else if (isPlain(value) && depth < 16) yield* fieldsOf(value, model, `${field}.`, `${at}.`, depth + 1)
    else yield { field, value, kind: 'personal' }
  }
}

/** The texts that a value can appear as in a response. */
function* textsOf(value: unknown, depth = 0): Generator<string> {
  if (typeof value === 'string') {
    const text = value.trim()
    if (text.length >= SHORTEST) yield text
  } else if (typeof value === 'number' || typeof value === 'bigint') {
    const text = String(value)
    if (text.length >= SHORTEST_NUMBER) yield text
  } else if (typeof value !== 'object' || value === null || depth > 4) {
    return
  } else if (isDate(value)) {
    if (Number.isNaN(value.getTime())) return
    const text = value.toISOString()
    yield* [text, text.slice(0, text.indexOf('T'))]
  } else if (isArrayBufferView(value) || isAnyArrayBuffer(value)) {
    const bytes = isArrayBufferView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value)
    // 24 bytes are whole groups of base64.
    const beginning = bytes.subarray(0, 24)
    if (beginning.length >= 6)
      yield* [beginning.toString('hex'), beginning.toString('base64').replace(/={1,2}$/, '')]
  } else if (Array.isArray(value) || isSet(value) || isMap(value)) {
    for (const item of value) yield* textsOf(item, depth + 1)
  } else if (isPlain(value)) {
    for (const item of Object.values(value)) yield* textsOf(item, depth + 1)
  } else {
    yield* textsOf(printedText(value), depth + 1)
  }
}
