import type { Evidence } from '../decision.ts'
import type { AuditEvent, FieldEvent, OperationEvent } from './event.ts'

/** The longest text in a written event, in UTF-16 units. */
const MAX_TEXT = 256
/** The longest line, in bytes. */
const MAX_LINE = 8_192

/** What to leave out, one step after the other, until an event fits into its line. */
const ATTEMPTS: readonly Bounds[] = [
  { text: MAX_TEXT, decisions: 64, evidence: 16 },
  { text: MAX_TEXT, decisions: 64, evidence: 0 },
  { text: 64, decisions: 12, evidence: 0 },
  // Ten texts of 64 units, six bytes each when all are escaped: this one always fits.
  { text: 64, decisions: 0, evidence: 0 },
]

interface Bounds {
  readonly text: number
  readonly decisions: number
  /** How many entries of the evidence of one decision. */
  readonly evidence: number
}

/**
 * One event as one line of JSON, at most 8192 bytes, all of them printable ASCII: what could break a line, a terminal or a
 * text column (control characters, U+2028, lone surrogates, everything beyond ASCII) is escaped. Texts are cut at 256
 * UTF-16 units; where an event is too long evidence goes first, then decisions. `truncated` marks what was cut.
 *
 * The line is built from the known members and from primitive values alone: nothing that hangs on an event can add to it.
 */
export function serialiseEvent(event: AuditEvent): string {
  let line = ''
  for (const bounds of ATTEMPTS) {
    line = write(event, bounds, bounds !== ATTEMPTS[0])
    if (line.length <= MAX_LINE) break
  }
  return line
}

/** The event of a line that {@link serialiseEvent} wrote, or `undefined` when the line is not an event. */
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

const KINDS: ReadonlySet<unknown> = new Set<AuditEvent['kind']>(['operation', 'field', 'outcome'])

type Entry = readonly [name: string, value: Evidence[string]]
/** Cuts a string; anything else is left out. */
type Text = (value: unknown) => string | undefined
/** The first few of a list. */
type First = <Item>(list: readonly Item[], most: number) => readonly Item[]

// DEL and everything beyond ASCII; JSON.stringify escapes what is below the space.
const BEYOND_ASCII = /[\x7f-\uffff]/g

function write(event: AuditEvent, bounds: Bounds, alreadyCut: boolean): string {
  let truncated = alreadyCut || event.truncated === true
  const first: First = (list, most) => {
    truncated ||= list.length > most
    return list.slice(0, most)
  }
  const text: Text = (value) => {
    if (typeof value !== 'string') return undefined
    if (value.length <= bounds.text) return value
    truncated = true
    return `${value.slice(0, bounds.text - 1)}…`
  }
  const { kind, version, id, time, requestId, appId, actor } = event
  const members = {
    kind,
    version,
    id: text(id),
    time: text(time),
    requestId: text(requestId),
    appId: text(appId),
    actor: text(actor),
    ...ownMembers(event, bounds, text, first),
  }
  return JSON.stringify({ ...members, ...(truncated && { truncated }) }).replace(
    BEYOND_ASCII,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function ownMembers(event: AuditEvent, bounds: Bounds, text: Text, first: First): Record<string, unknown> {
  if (event.kind === 'field') return fieldMembers(event, text)
  if (event.kind === 'operation') return operationMembers(event, bounds, text, first)
  return { outcome: event.outcome, status: amount(event.status) }
}

function fieldMembers(
  { person, field, reads, record, purpose }: FieldEvent,
  text: Text,
): Record<string, unknown> {
  return {
    person: text(person),
    field: text(field),
    reads: amount(reads),
    record: text(record),
    purpose: text(purpose),
  }
}

function operationMembers(
  event: OperationEvent,
  bounds: Bounds,
  text: Text,
  first: First,
): Record<string, unknown> {
  const { revision, operation, outcome, status, address, region, decisions } = event
  return {
    revision: amount(revision),
    operation: text(operation),
    outcome,
    status: amount(status),
    address: text(address),
    region: region && { here: text(region.here), jurisdiction: text(region.jurisdiction) },
    decisions: first(decisions, bounds.decisions).map(({ guard, effect, mode, code, detail, evidence }) => ({
      guard,
      effect,
      mode,
      code,
      detail: text(detail),
      evidence: evidenceOf(first(Object.entries(evidence), bounds.evidence), text),
    })),
  }
}

function evidenceOf(entries: readonly Entry[], text: Text): Record<string, unknown> {
  // Without a prototype, so that an entry named `__proto__` is an entry.
  const kept = Object.create(null) as Record<string, unknown>
  for (const [name, value] of entries) {
    kept[text(name) ?? ''] = typeof value === 'boolean' ? value : (text(value) ?? amount(value))
  }
  return kept
}

/** A number that JSON can write. */
function amount(value: unknown): number | undefined {
  return Number.isFinite(value) ? (value as number) : undefined
}
