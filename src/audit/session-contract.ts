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
  /** The fields that the action concerns. */
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
  /** Creates the id of an event. Default: a random UUID. */
  readonly newId?: (() => string) | undefined
  /** Getters that views share. Default: those of this request; sharing them between requests makes views cheaper. */
  readonly getters?: FieldGetters | undefined
  /** The declared models. Default: no models. */
  readonly models?: Models | undefined
  /** The purpose of reads that have no purpose of their own. */
  why?(): string | undefined
  /** Whether a read without a purpose is refused. */
  needsPurpose?(): boolean
  /** Called with each record that is sealed, before its first read. */
  onSealed?(sealed: SealedRecord): void
}

/** Declared models by name. */
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

/** The reads of personal data in one request: one session, even if several audits record it. */
export interface AuditSession {
  /**
   * A view of the record of this person. Every read of a field is recorded: one event per person and field, with a count. Pass on
   * the view instead of the record. See `personalView` for what can be a record.
   *
   * @throws TypeError if the id is not a string or is empty, or the record cannot be shown.
   */
  person<T extends object>(id: string, record: T, options?: PersonOptions): DeepReadonly<T>
  /**
   * Views of one or several rows. The model declares whom they concern, and which fields are not personal or are secret. Reads of
   * several persons in one list become one event. `null` and `undefined` are returned unchanged.
   *
   * @throws TypeError if a row does not say whom it concerns, or cannot be shown.
   * @throws UsageError if the model is not declared.
   */
  rows<T extends object>(model: string, rows: readonly T[], options?: RowOptions): DeepReadonly<T>[]
  rows<T extends object | null | undefined>(model: string, row: T, options?: RowOptions): DeepReadonly<T>
  /**
   * Reads a field that its model declares as secret, such as the hash of a password when it is compared. The read is recorded.
   *
   * @throws UsageError if the row is not a view, or the field is not secret.
   */
  secret<T extends object>(row: T, field: keyof T & string): T[keyof T & string]
  /** Sets the purpose of all following reads and actions that have no purpose of their own. */
  because(purpose: string): void
  /** Records that the data of this person, or of these persons, was created. */
  created(person: string | readonly string[], options?: ActionOptions): void
  /** Records that it was changed. */
  updated(person: string | readonly string[], options?: ActionOptions): void
  /** Records that it was deleted. */
  deleted(person: string | readonly string[], options?: ActionOptions): void
  /** Records that it was exported, as a file or to another service. */
  exported(person: string | readonly string[], options?: ActionOptions): void
  /** Records that this person signed in, or tried to. */
  signedIn(person: string, options?: SignInOptions): void
  /**
   * Keeps everything recorded so far. Await it before an action that cannot be undone; a response waits for it anyway.
   *
   * @throws UnavailableError (as a rejection) if the sink does not keep it.
   */
  flush(): Promise<void>
}

export type RowOptions = Pick<PersonOptions, 'purpose'>

/** The interface of a session for audits. */
export interface RecordedSession extends AuditSession {
  /** Attaches another log to these reads. It also receives the reads made before. */
  attach(options: ReadLogOptions): ReadLog
  /** Returns a function that says whether a field of a record has been read, for any purpose. */
  readsSoFar(): (sealed: SealedRecord, field: string) => boolean
  /** Records that a value of this field was found in a response. */
  leaked(sealed: SealedRecord, field: string): void
}
