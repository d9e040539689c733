import { randomUUID } from 'node:crypto'
import { PurposeRequired, UsageError } from '../errors.ts'
import type { Action } from './event.ts'
import type { ModelRules } from './models.ts'
import { fieldName } from './field-name.ts'
import {
  personalView,
  readSecret,
  recordOf,
  sealedView,
  type DeepReadonly,
  type FieldGetters,
} from './personal-view.ts'
import { Log, Readings, type Happening, type ReadLog, type ReadLogOptions, type Subject } from './read-log.ts'
import type {
  ActionOptions,
  AuditSessionOptions,
  PersonOptions,
  RecordedSession,
  RowOptions,
  SealedRecord,
  SignInOptions,
} from './session-contract.ts'

export type { AuditSession, RecordedSession, SealedRecord } from './session-contract.ts'

/** The longest purpose, in UTF-16 units, as in a written event. */
const LONGEST_PURPOSE = 256

/** Creates the session of one request. */
export function createAuditSession(options: AuditSessionOptions): RecordedSession {
  return new Session(options)
}

class Session implements RecordedSession {
  readonly #options: AuditSessionOptions
  readonly #getters: FieldGetters
  readonly #logs: Log[] = []
  // Created on first use, because most requests read no personal data.
  #subjects: Map<string, Subject> | undefined
  #all: Readings | undefined
  #purpose: string | undefined

  constructor(options: AuditSessionOptions) {
    this.#options = options
    this.#getters = options.getters ?? new Map()
  }

  person<T extends object>(id: string, record: T, options: PersonOptions = {}): DeepReadonly<T> {
    checkPerson(id)
    const subject = this.#subject(id, options.record, purposeOf(options), false)
    const view = personalView(record, (field) => this.#count(subject, field), this.#getters)
    this.#options.onSealed?.({ person: id, name: subject.record, record, model: undefined })
    return view
  }

  rows<T extends object>(model: string, rows: readonly T[], options?: RowOptions): DeepReadonly<T>[]
  rows<T extends object | null | undefined>(model: string, row: T, options?: RowOptions): DeepReadonly<T>
  rows(model: string, rows: unknown, options: RowOptions = {}): unknown {
    const rules = this.#rules(model)
    const purpose = purposeOf(options)
    const views = new Map<object, object>()
    const seal = (row: unknown): unknown =>
      row === null || row === undefined ? row : this.#row(rules, row, undefined, purpose, views)
    return Array.isArray(rows) ? rows.map(seal) : seal(rows)
  }

  #rules(model: string): ModelRules {
    const rules = this.#options.models?.get(model)
    if (rules === undefined) throw new UsageError(noModel(model, [...(this.#options.models?.keys() ?? [])]))
    return rules
  }

  #row(
    model: ModelRules,
    given: object,
    around: string | undefined,
    purpose: string | undefined,
    views: Map<object, object>,
  ): object {
    const row = recordOf(given)
    // A row that occurs twice, or inside itself, has one view.
    const known = views.get(row)
    if (known !== undefined) return known
    const own = model.personOf(row)
    const id = own === null ? around : own
    if (id === undefined) throw noPerson(model.name)
    const subject = this.#subject(id, model.name, purpose, true)
    const view = sealedView(row, {
      getters: this.#getters,
      model,
      onRead: (field) => this.#count(subject, field),
      nested: (name, inner) => this.#row(this.#rules(name), inner, id, purpose, views),
    })
    views.set(row, view)
    this.#options.onSealed?.({ person: subject.person, name: model.name, record: row, model })
    return view
  }

  secret<T extends object>(row: T, field: keyof T & string): T[keyof T & string] {
    return readSecret(row, field) as T[keyof T & string]
  }

  because(purpose: string): void {
    this.#purpose = purposeOf({ purpose })
  }

  created(person: string | readonly string[], options?: ActionOptions): void {
    this.#act('create', person, options)
  }

  updated(person: string | readonly string[], options?: ActionOptions): void {
    this.#act('update', person, options)
  }

  deleted(person: string | readonly string[], options?: ActionOptions): void {
    this.#act('delete', person, options)
  }

  exported(person: string | readonly string[], options?: ActionOptions): void {
    this.#act('export', person, options)
  }

  signedIn(person: string, { succeeded = true }: SignInOptions = {}): void {
    checkPerson(person)
    this.#happened({
      kind: 'action',
      at: this.#options.now(),
      action: 'sign-in',
      persons: [person],
      details: { succeeded },
    })
  }

  async flush(): Promise<void> {
    await Promise.all(this.#logs.map((log) => log.flush()))
  }

  attach(options: ReadLogOptions): ReadLog {
    const log = new Log(options, this.#options.requestId, this.#options.newId ?? randomUUID, this.#all)
    this.#logs.push(log)
    return log
  }

  readsSoFar(): (sealed: SealedRecord, field: string) => boolean {
    const fieldsOf = new Map<string, Set<string>>()
    for (const [{ person, record }, fields] of this.#all?.of ?? []) {
      const key = JSON.stringify([person, record])
      fieldsOf.set(key, new Set([...(fieldsOf.get(key) ?? []), ...fields.keys()]))
    }
    return ({ person, name }, field) => fieldsOf.get(JSON.stringify([person, name]))?.has(field) === true
  }

  leaked({ person, name }: SealedRecord, field: string): void {
    this.#happened({ kind: 'leak', at: this.#options.now(), person, field, record: name })
  }

  #act(action: Action, person: string | readonly string[], options: ActionOptions = {}): void {
    const persons = typeof person === 'string' ? [person] : [...person]
    for (const each of persons) checkPerson(each)
    const { record, fields } = options
    const purpose = this.#purposeNow(purposeOf(options))
    const details = {
      ...(fields !== undefined && {
        fields: fields.map((field) => field.split('.').map(fieldName).join('.')),
      }),
      ...(record !== undefined && { record }),
      ...(purpose !== undefined && { purpose }),
    }
    this.#happened({ kind: 'action', at: this.#options.now(), action, persons, details })
  }

  #happened(happening: Happening): void {
    this.#all ??= new Readings()
    this.#all.happenings.push(happening)
    for (const log of this.#logs) log.addHappening(happening)
  }

  #subject(person: string, record: string | undefined, purpose: string | undefined, isRow: boolean): Subject {
    this.#subjects ??= new Map()
    const key = JSON.stringify([person, record, purpose, isRow])
    let subject = this.#subjects.get(key)
    if (subject === undefined) this.#subjects.set(key, (subject = { person, record, purpose, isRow }))
    return subject
  }

  #count(of: Subject, field: string): void {
    const purpose = this.#purposeNow(of.purpose)
    const subject = purpose === of.purpose ? of : this.#subject(of.person, of.record, purpose, of.isRow)
    const at = this.#options.now()
    this.#all ??= new Readings()
    this.#all.add(subject, field, at, 1)
    for (const log of this.#logs) log.add(subject, field, at)
  }

  /** @throws PurposeRequired if there is no purpose and the actor needs one. */
  #purposeNow(own: string | undefined): string | undefined {
    const purpose = own ?? this.#purpose ?? readPurpose(this.#options.why?.())
    if (purpose === undefined && this.#options.needsPurpose?.() === true) throw new PurposeRequired()
    return purpose
  }
}

function checkPerson(id: unknown): void {
  if (typeof id !== 'string' || id === '')
    throw new TypeError('the id of a person must be a non-empty string')
}

/** @throws TypeError if a purpose is given but is not valid. */
function purposeOf({ purpose }: RowOptions): string | undefined {
  if (purpose !== undefined && readPurpose(purpose) === undefined)
    throw new TypeError(`a purpose must be a string of 1 to ${LONGEST_PURPOSE} characters`)
  return readPurpose(purpose)
}

/** A purpose from an option, which a caller may have sent; `undefined` if it is not valid. */
function readPurpose(given: unknown): string | undefined {
  if (typeof given !== 'string') return undefined
  const purpose = given.trim()
  return purpose === '' || purpose.length > LONGEST_PURPOSE ? undefined : purpose
}

function noModel(model: string, models: readonly string[]): string {
  const known = models.map((name) => `\`${name}\``).join(', ')
  return `the model \`${model}\` is not declared in the option \`models\`${known === '' ? '' : `, which declares ${known}`}`
}

function noPerson(model: string): TypeError {
  return new TypeError(
    `a row of the model \`${model}\` does not name its person: ` +
      'the field given by `person` is missing or empty. Select that field too, or correct `person`',
  )
}
