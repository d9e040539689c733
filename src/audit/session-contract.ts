import type { ModelRules } from './models.ts'
import type { DeepReadonly, FieldGetters } from './personal-view.ts'
import type { ReadLog, ReadLogOptions } from './read-log.ts'

export interface PersonOptions {
  /** The kind of record: `user`. */
  readonly record?: string | undefined
  /** Why it is read: `support`. */
  readonly purpose?: string | undefined
}

export interface ActionOptions extends PersonOptions {
  /** The fields that it concerns. */
  readonly fields?: readonly string[] | undefined
}

export interface SignInOptions {
  /** Whether the sign-in succeeded. Default true. */
  readonly succeeded?: boolean | undefined
}

export interface AuditSessionOptions {
  readonly requestId: string
  /** The clock, in milliseconds since the epoch. */
  now(): number
  /** Makes the id of an event. Default: a random UUID. */
  readonly newId?: (() => string) | undefined
  /** Getters that views share. Default: those of this request; sharing them among requests makes views cheaper. */
  readonly getters?: FieldGetters | undefined
  /** The declared models; default none. */
  readonly models?: Models | undefined
  /** The purpose of what is read without one. */
  why?(): string | undefined
  /** Whether a read without a purpose is refused. */
  needsPurpose?(): boolean
  /** Told of each record that is sealed, ahead of its first read. */
  onSealed?(sealed: SealedRecord): void
}

/** Declared models by their names. */
export interface Models {
  get(name: string): ModelRules | undefined
  keys(): Iterable<string>
}

/** A record whose reads are recorded. */
export interface SealedRecord {
  readonly person: string
  readonly name: string | undefined
  readonly record: object
  readonly model: ModelRules | undefined
}

/** The reads of personal data of one request: one session, however many audits record it. */
export interface AuditSession {
  /**
   * A view of the record of this person, of which every read of a field becomes an event: one per person and field, with
   * a count. Hand the view on and not the record. See `personalView` for what can be a record.
   *
   * @throws TypeError when the id is not a string or is empty, or the record cannot be shown.
   */
  person<T extends object>(id: string, record: T, options?: PersonOptions): DeepReadonly<T>
  /**
   * Views of rows, or of one row, by the declaration of their model: who they concern, which fields are not personal and which
   * are secret. What several persons of one list have in common is one event. `null` and `undefined` are handed back.
   *
   * @throws TypeError when a row does not say whom it concerns, or cannot be shown.
   * @throws UsageError when the model is not declared.
   */
  rows<T extends object>(model: string, rows: readonly T[], options?: RowOptions): DeepReadonly<T>[]
  rows<T extends object | null | undefined>(model: string, row: T, options?: RowOptions): DeepReadonly<T>
  /**
   * Reads a field that its model declares as secret, such as the hash of a password when it is compared. The read is recorded.
   *
   * @throws UsageError when the row is not a view, or the field is not a secret one.
   */
  secret<T extends object>(row: T, field: keyof T & string): T[keyof T & string]
  /** Names the purpose of everything that is read or done from now on without one. */
  because(purpose: string): void
  /** Records that the data of this person, or of these persons, was created. */
  created(person: string | readonly string[], options?: ActionOptions): void
  /** Records that it was changed. */
  updated(person: string | readonly string[], options?: ActionOptions): void
  /** Records that it was deleted. */
  deleted(person: string | readonly string[], options?: ActionOptions): void
  /** Records that it was exported: handed out as a file, or to another service. */
  exported(person: string | readonly string[], options?: ActionOptions): void
  /** Records that this person signed in, or tried to. */
  signedIn(person: string, options?: SignInOptions): void
  /**
   * Has what was recorded so far kept. Await it ahead of what cannot be undone; a response waits by itself.
   *
   * @throws UnavailableError (as a rejection) when the sink does not keep it.
   */
  flush(): Promise<void>
}

export type RowOptions = Pick<PersonOptions, 'purpose'>

/** What an audit does with a session besides. */
export interface RecordedSession extends AuditSession {
  /** Opens one more log of these reads. It has those that were made before, too. */
  attach(options: ReadLogOptions): ReadLog
  /** Tells whether a field of a record was read until now, under whatever purpose. */
  readsSoFar(): (sealed: SealedRecord, field: string) => boolean
  /** Records that a value of this field was found in a response. */
  leaked(sealed: SealedRecord, field: string): void
}
