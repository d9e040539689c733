import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { isKeyObject, isUint8Array } from 'node:util/types'
import { LRUCache } from 'lru-cache'
import type { Decision } from '../decision.ts'
import { ConfigError, SECRET } from '../errors.ts'

/** An event of the audit. No event contains a value of personal data. */
export type AuditEvent = OperationEvent | FieldEvent | ListEvent | ActionEvent | LeakEvent | OutcomeEvent

/** The kind of actor: a member of staff, who needs a purpose for each access, a user, or a program. */
export type ActorKind = 'staff' | 'user' | 'system'

interface EventBase {
  readonly version: 1
  /** Unique. Two events with the same id are the same event. */
  readonly id: string
  /** ISO 8601, UTC. */
  readonly time: string
  /** `instance` of the problem document; the same in all events of one request. */
  readonly requestId: string
  /** The app that called; missing if it was not identified. */
  readonly appId?: string | undefined
  /** The pseudonym of the person who acted for the app, if the `actor` option names one. */
  readonly actor?: string | undefined
  /** The kind of actor, if the `actor` option gives it. */
  readonly actorKind?: ActorKind | undefined
  /** Something was left out or shortened to keep the written event within its limits. */
  readonly truncated?: true | undefined
}

/**
 * How a request ended. `answered`: the caller got the whole answer of the handler. `refused`: the caller got the refusal of a
 * guard. `aborted`: the caller did not get a whole answer. An answer is whole if it was passed to the network to its end.
 */
export type Outcome = 'answered' | 'refused' | 'aborted'

/** One request. */
export interface OperationEvent extends EventBase {
  readonly kind: 'operation'
  /** The revision of the policy that was used to judge the request. */
  readonly revision?: number | undefined
  /** Method and route pattern: `GET /auth/v2/me`. Never a URL with values. */
  readonly operation: string
  readonly outcome: Outcome
  /** The status of the answer; missing if there was no answer. */
  readonly status?: number | undefined
  /** Pseudonym of the client address. */
  readonly address?: string | undefined
  /** Pseudonym of the person, if the audit log itself was queried or changed: `audit subject`. */
  readonly person?: string | undefined
  /** The purpose, if one was given. */
  readonly purpose?: string | undefined
  readonly region?: { readonly here: string; readonly jurisdiction: string } | undefined
  /** The decisions of the guards, in order. */
  readonly decisions: readonly Decision[]
  /** The facts that the guards judged, encrypted, so that the request can be judged again: see `rejudge`. */
  readonly judged?: string | undefined
}

/**
 * What the caller of a request really received, if this differs from the operation event. The operation event is stored before
 * the first byte is sent; this one, with the same `requestId`, follows when the request is over.
 */
export interface OutcomeEvent extends EventBase {
  readonly kind: 'outcome'
  readonly outcome: Outcome
  /** The status that the caller received; missing if no answer arrived. */
  readonly status?: number | undefined
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
  /** The kind of record, if one was given. */
  readonly record?: string | undefined
  /** The purpose, if one was given. */
  readonly purpose?: string | undefined
}

/** Fields of several persons, read in one request. A list of rows produces this instead of one event per field. */
export interface ListEvent extends EventBase {
  readonly kind: 'list'
  readonly fields: readonly string[]
  /** For each person the pseudonym, followed by the number of reads of each field, in the order of `fields`. */
  readonly persons: readonly PersonReads[]
  /** The kind of record. */
  readonly record?: string | undefined
  /** The purpose, if one was given. */
  readonly purpose?: string | undefined
}

export type PersonReads = readonly [person: string, ...reads: number[]]

/** An action on the data of persons other than reading it, or a sign-in. */
export interface ActionEvent extends EventBase {
  readonly kind: 'action'
  readonly action: Action
  /** Pseudonyms of the persons. An action on very many persons is split into several events. */
  readonly persons: readonly string[]
  /** The fields, if they were given. */
  readonly fields?: readonly string[] | undefined
  readonly record?: string | undefined
  readonly purpose?: string | undefined
  /** Whether it succeeded, if this was given. */
  readonly succeeded?: boolean | undefined
}

export type Action = 'create' | 'update' | 'delete' | 'export' | 'sign-in'

/** A value of personal data was found in a response although no read of it is recorded. The event does not contain the value. */
export interface LeakEvent extends EventBase {
  readonly kind: 'leak'
  readonly person: string
  readonly field: string
  readonly record?: string | undefined
}

/** Turns the id of a person, an address or an actor into a pseudonym that only the holder of the key can link to it. */
export type Pseudonymise = (kind: 'person' | 'address' | 'actor', value: string) => string

/**
 * Creates a function that makes pseudonyms: HMAC-SHA-256 under a key, truncated to 128 bits, as base64url. The same value gets
 * another pseudonym for each kind. The key is kept as a `KeyObject`, so it is never printed.
 *
 * @param key at least 32 bytes, or a secret `KeyObject` of that size.
 * @throws ConfigError
 */
export function createPseudonyms(key: Uint8Array | KeyObject): Pseudonymise {
  const secret = isUint8Array(key) ? createSecretKey(key) : key
  if (!isKeyObject(secret) || (secret.symmetricKeySize ?? 0) < 32) {
    throw new ConfigError('pseudonymKey', 'at least 32 bytes', SECRET)
  }
  // Callers return, so recent pseudonyms are kept.
  const recent: Readonly<Record<Parameters<Pseudonymise>[0], LRUCache<string, string>>> = {
    person: new LRUCache({ max: RECENT_PSEUDONYMS }),
    address: new LRUCache({ max: RECENT_PSEUDONYMS }),
    actor: new LRUCache({ max: RECENT_PSEUDONYMS }),
  }
  return (kind, value) => {
    const known = recent[kind].get(value)
    if (known !== undefined) return known
    // The kind is one of three words without a NUL, so different pairs never give the same text.
    const text = `portcullis/pseudonym/1\0${kind}\0${value}`
    const made = createHmac('sha256', secret).update(text).digest().subarray(0, 16).toString('base64url')
    if (value.length <= LONGEST_RECENT) recent[kind].set(value, made)
    return made
  }
}

const RECENT_PSEUDONYMS = 1_000
const LONGEST_RECENT = 100
