import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { Decision } from '../decision.ts'

/** What the audit keeps. No event holds a value of personal data. */
export type AuditEvent = OperationEvent | FieldEvent

interface EventBase {
  readonly version: 1
  /** Unique; a reader that sees one twice has seen one event. */
  readonly id: string
  /** ISO 8601, UTC. */
  readonly time: string
  /** `instance` of the problem document, and what the events of one request have in common. */
  readonly requestId: string
  /** The app that called; missing when it was not identified. */
  readonly appId?: string | undefined
  /** Pseudonym of who acted for the app, where the `actor` option names somebody. */
  readonly actor?: string | undefined
}

/** One request. */
export interface OperationEvent extends EventBase {
  readonly kind: 'operation'
  /** Revision of the policy that the request was judged by. */
  readonly revision?: number | undefined
  /** Method and route pattern: `GET /auth/v2/me`. Never a URL with values. */
  readonly operation: string
  /** `refused`: by a guard. `aborted`: the caller went away before the answer. */
  readonly outcome: 'answered' | 'refused' | 'aborted'
  /** Status of the answer; missing when there was none. */
  readonly status?: number | undefined
  /** Pseudonym of the client address. */
  readonly address?: string | undefined
  readonly region?: { readonly here: string; readonly jurisdiction: string } | undefined
  /** The trail. */
  readonly decisions: readonly Decision[]
}

/** One field of the personal data of one person, read in one request. */
export interface FieldEvent extends EventBase {
  readonly kind: 'field'
  /** Pseudonym of the person. */
  readonly person: string
  /** `email`, or `address.city` for a nested one. */
  readonly field: string
  /** How often it was read. */
  readonly reads: number
  /** The kind of record, where it was named. */
  readonly record?: string | undefined
  /** Why, where it was said. */
  readonly purpose?: string | undefined
}

/** Turns the id of a person, an address or an actor into a pseudonym that only the holder of the key can link to it. */
export type Pseudonymise = (kind: 'person' | 'address' | 'actor', value: string) => string

/** Makes pseudonyms: HMAC-SHA-256 under a key, 128 bits as base64url; the same value of another kind gives another one. */
export function createPseudonyms(key: Uint8Array): Pseudonymise {
  const secret: KeyObject = createSecretKey(key)
  return (kind, value) =>
    createHmac('sha256', secret).update(`${kind}\0${value}`).digest().subarray(0, 16).toString('base64url')
}

const MAX_TEXT = 256
const UNSAFE = /[^\x20-\x7e]/g

/** One event as one line of ASCII JSON: control characters and everything beyond ASCII escaped, long texts cut. */
export function serialiseEvent(event: AuditEvent): string {
  const cut = (_name: string, value: unknown): unknown =>
    typeof value === 'string' && value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value
  return JSON.stringify(event, cut).replace(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
