import type { Decision, Evidence } from '../decision.ts'
import type { ActionEvent, AuditEvent, FieldEvent, LeakEvent, ListEvent, OperationEvent } from './event.ts'
import { escaped, isPlain, quoted } from './json-text.ts'

/** The longest text in a written event, in UTF-16 units. */
const MAX_TEXT = 256
/** The longest `judged` text. */
const MAX_JUDGED = 4_096
/** The longest line, in bytes. */
const MAX_LINE = 8_192

/** What to leave out, step by step, until an event fits into its line. */
const ATTEMPTS: readonly Bounds[] = [
  { text: MAX_TEXT, decisions: 64, evidence: 16, persons: 1_000, fields: 1_000, judged: MAX_JUDGED },
  { text: MAX_TEXT, decisions: 64, evidence: 0, persons: 100, fields: 20, judged: MAX_JUDGED },
  { text: 64, decisions: 12, evidence: 0, persons: 10, fields: 8, judged: 0 },
  // Twelve texts of 64 units, each of up to six bytes when escaped: this always fits.
  { text: 64, decisions: 0, evidence: 0, persons: 0, fields: 8, judged: 0 },
]

interface Bounds {
  readonly text: number
  readonly decisions: number
  /** How many entries of the evidence of one decision are kept. */
  readonly evidence: number
  /** How many persons and fields of a list are kept. */
  readonly persons: number
  readonly fields: number
  readonly judged: number
}

/**
 * One event as one line of JSON, at most 8192 bytes of printable ASCII: anything that could break a line, a terminal or a text
 * column (control characters, U+2028, lone surrogates, everything outside ASCII) is escaped. Texts are cut at 256 UTF-16 units.
 * If an event is too long, evidence is left out first, then decisions. `truncated` marks a shortened event.
 *
 * The line contains only known members with primitive values, so other properties of an event cannot add to it.
 */
export function serialiseEvent(event: AuditEvent): string {
  let line = ''
  for (const bounds of ATTEMPTS) {
    line = new LineWriter(bounds, event.truncated === true || bounds !== ATTEMPTS[0]).write(event)
    if (line.length <= MAX_LINE) break
  }
  return line
}

/** The event in a line that {@link serialiseEvent} wrote, or `undefined` if the line is not an event. */
export function parseEvent(line: string): AuditEvent | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { version, kind, id } = value as Record<string, unknown>
  if (version !== 1 || typeof id !== 'string' || !KINDS.has(kind)) return undefined
  return value as AuditEvent
}

const KINDS: ReadonlySet<unknown> = new Set<AuditEvent['kind']>([
  'operation',
  'field',
  'list',
  'action',
  'leak',
  'outcome',
])

/** Writes one event directly into its line, without an intermediate object. */
class LineWriter {
  readonly #bounds: Bounds
  truncated: boolean

  constructor(bounds: Bounds, truncated: boolean) {
    this.#bounds = bounds
    this.truncated = truncated
  }

  write(event: AuditEvent): string {
    const { kind, version, appId, actor, actorKind } = event
    const start =
      kind === 'operation' && version === 1
        ? '{"kind":"operation","version":1'
        : `{${this.#text('"kind":"', kind)}${amount(',"version":', version)}`
    const line =
      start +
      this.#named(event) +
      this.#text(',"appId":"', appId) +
      this.#text(',"actor":"', actor) +
      this.#text(',"actorKind":"', actorKind) +
      this.#own(event)
    return this.truncated ? `${line},"truncated":true}` : `${line}}`
  }

  #named({ id, time, requestId }: AuditEvent): string {
    // Written in one piece if they need no escaping, because each piece takes memory.
    if (this.#isPlain(id) && this.#isPlain(time) && this.#isPlain(requestId))
      return `,"id":"${id}","time":"${time}","requestId":"${requestId}"`
    return this.#text(',"id":"', id) + this.#text(',"time":"', time) + this.#text(',"requestId":"', requestId)
  }

  #isPlain(text: unknown): boolean {
    return typeof text === 'string' && text.length <= this.#bounds.text && isPlain(text)
  }

  #own(event: AuditEvent): string {
    if (event.kind === 'field') return this.#field(event)
    if (event.kind === 'operation') return this.#operation(event)
    if (event.kind === 'list') return this.#list(event)
    if (event.kind === 'action') return this.#action(event)
    if (event.kind === 'leak') return this.#leak(event)
    return this.#text(',"outcome":"', event.outcome) + amount(',"status":', event.status)
  }

  #field({ person, field, reads, record, purpose }: FieldEvent): string {
    return (
      this.#text(',"person":"', person) +
      this.#text(',"field":"', field) +
      amount(',"reads":', reads) +
      this.#text(',"record":"', record) +
      this.#text(',"purpose":"', purpose)
    )
  }

  #list({ fields, persons, record, purpose }: ListEvent): string {
    const some = this.#some(fields, this.#bounds.fields)
    const rows = this.#some(persons, this.#bounds.persons).map(([person, ...reads]) => {
      const counts = reads
        .slice(0, some.length)
        .map((count) => (Number.isFinite(count) ? String(count) : '0'))
      return `[${[this.#texts([person]), ...counts].join(',')}]`
    })
    return (
      `,"fields":[${this.#texts(some)}],"persons":[${rows.join(',')}]` +
      this.#text(',"record":"', record) +
      this.#text(',"purpose":"', purpose)
    )
  }

  #action({ action, persons, fields, record, purpose, succeeded }: ActionEvent): string {
    return (
      this.#text(',"action":"', action) +
      `,"persons":[${this.#texts(this.#some(persons, this.#bounds.persons))}]` +
      (fields === undefined ? '' : `,"fields":[${this.#texts(this.#some(fields, this.#bounds.fields))}]`) +
      this.#text(',"record":"', record) +
      this.#text(',"purpose":"', purpose) +
      (typeof succeeded === 'boolean' ? `,"succeeded":${succeeded}` : '')
    )
  }

  #leak({ person, field, record }: LeakEvent): string {
    return (
      this.#text(',"person":"', person) + this.#text(',"field":"', field) + this.#text(',"record":"', record)
    )
  }

  #some<T>(list: readonly T[], most: number): readonly T[] {
    if (list.length <= most) return list
    this.truncated = true
    return list.slice(0, most)
  }

  #texts(list: readonly string[]): string {
    return list.flatMap((text) => (typeof text === 'string' ? [quoted(this.#cut(text))] : [])).join(',')
  }

  #operation(event: OperationEvent): string {
    const { revision, operation, outcome, status, address, person, purpose, region, decisions, judged } =
      event
    return (
      amount(',"revision":', revision) +
      this.#text(',"operation":"', operation) +
      this.#text(',"outcome":"', outcome) +
      amount(',"status":', status) +
      this.#text(',"address":"', address) +
      this.#text(',"person":"', person) +
      this.#text(',"purpose":"', purpose) +
      (region === undefined ? '' : this.#region(region)) +
      `,"decisions":[${this.#decisions(decisions)}]` +
      this.#judged(judged)
    )
  }

  /** Written whole or not at all, because a part of it cannot be opened. */
  #judged(sealed: string | undefined): string {
    if (typeof sealed !== 'string') return ''
    if (sealed.length <= this.#bounds.judged) return `,"judged":${quoted(sealed)}`
    this.truncated = true
    return ''
  }

  #region({ here, jurisdiction }: NonNullable<OperationEvent['region']>): string {
    const first = this.#text('"here":"', here)
    return `,"region":{${first}${this.#text(first === '' ? '"jurisdiction":"' : ',"jurisdiction":"', jurisdiction)}}`
  }

  #decisions(decisions: readonly Decision[]): string {
    const most = Math.min(decisions.length, this.#bounds.decisions)
    if (most < decisions.length) this.truncated = true
    const last = decisions[most - 1]
    if (last === undefined) return ''
    const atFull = this.#bounds === ATTEMPTS[0]
    const trail = atFull && most === decisions.length ? trails.get(last) : undefined
    if (trail !== undefined && isSame(trail.decisions, decisions)) return trail.text
    const shown = decisions.slice(0, most)
    const written = shown.map((decision) => this.#remembered(decision)).join(',')
    if (atFull && most === decisions.length && shown.every((decision) => lines.has(decision)))
      trails.set(last, { decisions: shown, text: written })
    return written
  }

  /** Guards share decisions that are the same for many requests, so their text is kept. */
  #remembered(decision: Decision): string {
    const atFull = this.#bounds === ATTEMPTS[0]
    const known = atFull ? lines.get(decision) : undefined
    if (known !== undefined) return known
    const before = this.truncated
    this.truncated = false
    const text = this.#decision(decision)
    if (atFull && !this.truncated && isFixed(decision)) lines.set(decision, text)
    this.truncated ||= before
    return text
  }

  #decision({ guard, effect, mode, code, detail, evidence }: Decision): string {
    return (
      `{${this.#text('"guard":"', guard)}` +
      this.#text(',"effect":"', effect) +
      this.#text(',"mode":"', mode) +
      this.#text(',"code":"', code) +
      this.#text(',"detail":"', detail) +
      `,"evidence":{${this.#evidence(evidence)}}}`
    )
  }

  #evidence(evidence: Evidence): string {
    const names = Object.keys(evidence)
    const most = Math.min(names.length, this.#bounds.evidence)
    if (most < names.length) this.truncated = true
    let written = ''
    /** By name, so that if two names are cut to the same text, the last one stays. */
    let cut: Map<string, string> | undefined
    for (let index = 0; index < most; index += 1) {
      const name = names[index] as string
      const text = this.#value(evidence[name])
      if (name.length > this.#bounds.text) (cut ??= new Map()).set(this.#cut(name), text)
      else if (text !== '') written += `${written === '' ? '' : ','}${quoted(name)}:${text}`
    }
    if (cut === undefined) return written
    const others = [...cut].flatMap(([name, text]) => (text === '' ? [] : [`${quoted(name)}:${text}`]))
    return [...(written === '' ? [] : [written]), ...others].join(',')
  }

  /** A value of the evidence; empty if it is not one that an event may have. */
  #value(value: unknown): string {
    if (typeof value === 'string') return quoted(this.#cut(value))
    return typeof value === 'boolean' || Number.isFinite(value) ? String(value) : ''
  }

  /** A member with a string value, given its name and opening quote. Other values are left out. */
  #text(name: string, value: unknown): string {
    return typeof value === 'string' ? `${name}${escaped(this.#cut(value))}"` : ''
  }

  #cut(text: string): string {
    const most = this.#bounds.text
    if (text.length <= most) return text
    this.truncated = true
    return `${text.slice(0, most - 1)}…`
  }
}

function isFixed(decision: Decision): boolean {
  return Object.isFrozen(decision) && Object.isFrozen(decision.evidence)
}

/** The text of frozen decisions. */
const lines = new WeakMap<Decision, string>()

/** The text of frozen decisions that occur together, by the last of them. */
const trails = new WeakMap<Decision, { readonly decisions: readonly Decision[]; readonly text: string }>()

function isSame(one: readonly Decision[], other: readonly Decision[]): boolean {
  if (one.length !== other.length) return false
  for (let index = 0; index < one.length; index += 1) if (one[index] !== other[index]) return false
  return true
}

/** A member with a number that JSON can represent. Other values are left out. */
function amount(name: string, value: unknown): string {
  return Number.isFinite(value) ? name + String(value) : ''
}
