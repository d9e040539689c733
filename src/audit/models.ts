import { ConfigError } from '../errors.ts'
import { checkOptions, type Expectation } from '../options.ts'
import { printedText } from './personal-value.ts'

/**
 * Describes the rows of one kind to the audit. Every field counts as personal and every read of it is recorded, unless the field
 * is listed here. So a new column is recorded by default. A field is named by its path: `address.city`.
 */
export interface PersonalModel {
  /**
   * Whose data a row is: the field with the id of the person, or a function that returns it. Left out: these rows occur only
   * inside rows of another model, and belong to the person of that row.
   */
  readonly person?: string | ((row: never) => unknown) | undefined
  /** Fields that are not personal, including everything inside them. Default: no fields. */
  readonly open?: readonly string[] | undefined
  /**
   * Fields that must not be read out, such as the hash of a password. Their names are not listed, and reading one throws.
   * `audit.secret(row, field)` is the only way to one. Default: no fields.
   */
  readonly secret?: readonly string[] | undefined
  /** Fields that contain a row of another model or a list of such rows, with the name of that model. Default: no fields. */
  readonly nested?: Readonly<Record<string, string>> | undefined
}

/** The models of an application, by name. */
export type PersonalModels = Readonly<Record<string, PersonalModel>>

/** The rules of a model for the fields of a view, by their paths. */
export interface ModelRules {
  readonly name: string
  readonly open: ReadonlySet<string>
  readonly secret: ReadonlySet<string>
  readonly nested: ReadonlyMap<string, string>
  /** The id of the person of a row; `undefined` if the row lacks it, `null` if the model does not declare `person`. */
  personOf(row: object): string | undefined | null
}

export const PERSONAL_MODELS: Expectation = {
  expected:
    "an object of models, such as `{ user: { person: 'id', open: ['id'], secret: ['passwordHash'] } }`",
  accepts: isObject,
}

/** @throws ConfigError that names the model and what is wrong with it */
export function compileModels(option: string, models: PersonalModels): ReadonlyMap<string, ModelRules> {
  const names = Object.keys(models)
  const compiled = new Map<string, ModelRules>()
  for (const name of names) compiled.set(name, compileModel(`${option}.${name}`, name, models[name], names))
  return compiled
}

const A_PATH = /^[^.]+(?:\.[^.]+)*$/
const isPath = (value: unknown): boolean => typeof value === 'string' && A_PATH.test(value)

const PATHS: Expectation = {
  expected: "a list of names of fields, such as `['email', 'address.city']`",
  accepts: (value) => Array.isArray(value) && value.every(isPath),
}

function compileModel(option: string, name: string, given: unknown, models: readonly string[]): ModelRules {
  const {
    person,
    open = [],
    secret = [],
    nested = {},
  } = checkOptions<PersonalModel>(option, given, {
    person: {
      expected: 'the name of the field that holds the id of the person, or a function',
      accepts: (value) => typeof value === 'function' || isPath(value),
    },
    open: PATHS,
    secret: PATHS,
    nested: {
      expected: `an object of fields and the models of their rows: ${models.map((each) => `\`${each}\``).join(', ')}`,
      accepts: (value) =>
        isObject(value) &&
        Object.entries(value).every(([field, model]) => isPath(field) && models.includes(model as string)),
    },
  })
  const seen = new Set<string>()
  for (const field of [...open, ...secret, ...Object.keys(nested)]) {
    if (seen.has(field))
      throw new ConfigError(
        option,
        `a model that lists the field \`${field}\` once`,
        'a model that lists it twice',
      )
    seen.add(field)
  }
  return {
    name,
    open: new Set(open),
    secret: new Set(secret),
    nested: new Map(Object.entries(nested)),
    personOf: personReader(person as string | ((row: object) => unknown) | undefined),
  }
}

function personReader(person: string | ((row: object) => unknown) | undefined): ModelRules['personOf'] {
  if (person === undefined) return () => null
  if (typeof person === 'function') return (row) => idOf(person(row))
  const path = person.split('.')
  return (row) => {
    let value: unknown = row
    for (const name of path) value = isObject(value) ? (value as Record<string, unknown>)[name] : undefined
    return idOf(value)
  }
}

/** An id as text: a string, a number, a UUID in bytes, or an object that prints itself, such as an `ObjectId`. */
function idOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value))) return String(value)
  if (value instanceof Uint8Array) return value.length === 0 ? undefined : Buffer.from(value).toString('hex')
  const text = isObject(value) ? printedText(value) : undefined
  return text === '' ? undefined : text
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
