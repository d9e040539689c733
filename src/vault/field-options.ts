import { ConfigError, UsageError, wrongOption, type ConfigIssue } from '../errors.ts'
import { objectWith, oneOf, readOptions, required, wholeNumber, type Expectation } from '../options.ts'
import type { FieldIndex } from './field-index.ts'
import type { PeopleStore } from './people-store.ts'
import type { Vault } from './vault.ts'

export interface FieldVaultOptions {
  /** The keys of the region, which seal the keys of people. */
  readonly vault: Vault
  /** Stores the keys of people, in the region: `redisPersonKeys(redis)`. */
  readonly people: PeopleStore
  /** The name of the region. A field sealed in one region cannot be opened in another. */
  readonly region: string
  /** The tenant that the people belong to, if there are several. Default: an empty string. */
  readonly tenant?: string | undefined
  /** What the fields belong to, such as a table. Default `person`. */
  readonly model?: string | undefined
  /** The fields by whose value people are found, and how. */
  readonly indexes?: Readonly<Record<string, FieldIndex>> | undefined
  /** The keys of the indexes. They are rotated separately: stored index values must then be written again. */
  readonly indexVault?: Vault | undefined
  /** How long the key of a person is used without asking again, in milliseconds. Default 30,000. */
  readonly maxAge?: number | undefined
  /** How many people's keys are kept in memory. Default 10,000. */
  readonly maxPeople?: number | undefined
  /** How long the store of keys may take, in milliseconds. Default 1,000. */
  readonly timeout?: number | undefined
}

const A_NAME: Expectation = {
  expected: 'a string of 1 to 128 characters',
  accepts: (value) => typeof value === 'string' && value.length > 0 && value.length <= 128,
}

const A_VAULT: Expectation = {
  ...objectWith('a vault made by createVault()', 'seal', 'openBytes', 'fingerprints'),
  secret: true,
}

const INDEXES: Expectation = {
  expected: 'an object with an index for each field',
  accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
}

/** Fields with so few values that an index of any size reveals them. */
const TELLING: ReadonlySet<string> = new Set(
  'birthdate birthday birthyear citizenship country dateofbirth ethnicity gender language maritalstatus nationality religion sex title yearofbirth'.split(
    ' ',
  ),
)

/** @throws ConfigError */
export function readFieldOptions(options: FieldVaultOptions): FieldVaultOptions {
  const [issues, checked] = readOptions('createFieldVault', options, {
    vault: required(A_VAULT),
    people: required(
      objectWith('a store of keys, such as `redisPersonKeys(redis)`', 'read', 'add', 'replace', 'erase'),
    ),
    region: required(A_NAME),
    tenant: A_NAME,
    model: A_NAME,
    indexes: INDEXES,
    indexVault: A_VAULT,
    maxAge: wholeNumber('milliseconds', 1),
    maxPeople: wholeNumber('people', 1),
    timeout: wholeNumber('milliseconds', 1, 60_000),
  })
  const { indexes, indexVault } = checked
  if (INDEXES.accepts(indexes)) {
    for (const [field, index] of Object.entries(indexes as object)) issues.push(...issuesOf(field, index))
    if (indexVault === undefined)
      issues.push(
        wrongOption('createFieldVault.indexVault', 'a vault made by createVault(), for `indexes`', undefined),
      )
  }
  const [first, ...more] = issues
  if (first !== undefined) throw new ConfigError([first, ...more])
  return Object.freeze(checked) as unknown as FieldVaultOptions
}

function issuesOf(field: string, index: unknown): ConfigIssue[] {
  const path = `createFieldVault.indexes.${field}`
  const [issues, { unique, beacon }] = readOptions(path, index, {
    match: oneOf('how values are compared', ['email', 'exact']),
    unique: { expected: 'true', accepts: (value) => value === true },
    beacon: wholeNumber('bits', 1, 24),
  })
  if (issues.length > 0) return issues
  if ((unique === undefined) === (beacon === undefined))
    issues.push(
      wrongOption(
        path,
        'an index with either `unique: true`, if hardly any two people share a value, or `beacon`, the number of bits to keep',
        index,
      ),
    )
  if (TELLING.has(field.toLowerCase().replaceAll(/[^a-z]/g, '')))
    issues.push(
      wrongOption(path, 'left out, because the field has few values and an index would reveal them', index),
    )
  return issues
}

/** Checks the name of a field, which is bound into every sealed value. */
export function checkFieldName(field: string): void {
  if (!A_NAME.accepts(field))
    throw new UsageError('the name of a field must be a string of 1 to 128 characters')
}
