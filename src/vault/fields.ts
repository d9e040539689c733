import { createHash, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { withDeadline } from '../deadline.ts'
import { SealedError, UsageError } from '../errors.ts'
import { checkFieldName, readFieldOptions, type FieldVaultOptions } from './field-options.ts'
import { blindIndex } from './field-index.ts'
import { bytesOf, damaged, decrypt, encrypt, SEAL_BYTES } from './gcm.ts'
import { peoplePlace } from './people-place.ts'
import type { SealedHolder, SealedPlace } from './reseal.ts'

/**
 * Encrypts the personal data of people field by field, with a separate key for each person. A sealed field opens only as the same
 * field of the same person, in the same model, tenant and region.
 */
export interface FieldVault extends SealedHolder {
  /**
   * Encrypts a field. The first call for a person creates their key. Rejects with `UnavailableError` if the key cannot be read or
   * created.
   */
  seal(person: string, field: string, value: string | Uint8Array): Promise<string>
  /**
   * Decrypts a field as a string. Rejects with `SealedError` if the person was erased, or if the string was changed or sealed for
   * another place; with another `UnavailableError` if the key of the person could not be read.
   */
  open(person: string, field: string, sealed: string): Promise<string>
  /** Like `open`, but returns bytes. */
  openBytes(person: string, field: string, sealed: string): Promise<Uint8Array>
  /** Encrypts all members of a record. */
  sealRecord<Name extends string>(
    person: string,
    record: Readonly<Record<Name, string>>,
  ): Promise<Record<Name, string>>
  /** Decrypts all members of a record. Rejects as `open` does if one of them cannot be opened. */
  openRecord<Name extends string>(
    person: string,
    sealed: Readonly<Record<Name, string>>,
  ): Promise<Record<Name, string>>
  /**
   * The blind index of a value: strings by which the person can be found, one for each key of `indexVault`. Store the first one,
   * and search for all of them.
   *
   * @throws UsageError if the field is not in `indexes`, or the value is not a string of at most 4,096 characters.
   */
  index(field: string, value: string): readonly string[]
  /**
   * Destroys the key of a person, so that none of their fields can be read any longer, wherever copies of them are stored. A
   * backup of the key itself must be deleted too. Resolves with the number of keys destroyed. Other processes that have the key in
   * memory forget it after `maxAge`.
   */
  erase(person: string): Promise<number>
}

const VERSION = 1
const KEY_ID_BYTES = 4
const HEAD_BYTES = 1 + KEY_ID_BYTES
/** A lone surrogate, which cannot be encoded in UTF-8. */
const HALF_A_CHARACTER = /\p{Surrogate}/u
/** A person has one key. */
const MOST_KEYS = 1

interface PersonKey {
  readonly id: Buffer
  readonly key: KeyObject
}

/**
 * Creates a vault for the fields of people: AES-256-GCM with a random key for each person. `people` stores the keys, sealed by
 * `vault`.
 *
 * @throws ConfigError; no key appears in it.
 */
export function createFieldVault(options: FieldVaultOptions): FieldVault {
  return new PersonalFields(readFieldOptions(options))
}

class PersonalFields implements FieldVault {
  readonly #options: FieldVaultOptions
  readonly #place: readonly [region: string, tenant: string]
  readonly #model: string
  readonly #timeout: number
  readonly #known: LRUCache<string, PersonKey>
  readonly #asking = new Map<string, Promise<PersonKey>>()
  #erasures = 0

  constructor(options: FieldVaultOptions) {
    this.#options = options
    const { region, tenant = '', model = 'person', maxAge = 30_000, maxPeople = 10_000 } = options
    this.#place = [region, tenant]
    this.#model = model
    this.#timeout = options.timeout ?? 1_000
    this.#known = new LRUCache({ max: maxPeople, ttl: maxAge })
  }

  async seal(person: string, field: string, value: string | Uint8Array): Promise<string> {
    return this.#seal(await this.#keyOf(person, true), person, field, value)
  }

  async open(person: string, field: string, sealed: string): Promise<string> {
    return this.#open(await this.#keyOf(person, false), person, field, sealed).toString()
  }

  async openBytes(person: string, field: string, sealed: string): Promise<Uint8Array> {
    return this.#open(await this.#keyOf(person, false), person, field, sealed)
  }

  async sealRecord<Name extends string>(
    person: string,
    record: Readonly<Record<Name, string>>,
  ): Promise<Record<Name, string>> {
    const key = await this.#keyOf(person, true)
    return mapped(record, (field, value) => this.#seal(key, person, field, value))
  }

  async openRecord<Name extends string>(
    person: string,
    sealed: Readonly<Record<Name, string>>,
  ): Promise<Record<Name, string>> {
    const key = await this.#keyOf(person, false)
    return mapped(sealed, (field, value) => this.#open(key, person, field, value).toString())
  }

  index(field: string, value: string): readonly string[] {
    const { indexes = {}, indexVault } = this.#options
    const index = Object.hasOwn(indexes, field) ? indexes[field] : undefined
    if (index === undefined || indexVault === undefined)
      throw new UsageError(
        `there is no index for the field \`${field}\`: name it in \`indexes\` of createFieldVault()`,
      )
    return blindIndex(indexVault, index, [...this.#place, this.#model, field], value)
  }

  async erase(person: string): Promise<number> {
    const name = this.#nameOf(person)
    // A read in progress must not put the key back into memory.
    this.#erasures += 1
    this.#known.delete(name)
    const count = await this.#inTime(this.#options.people.erase(name))
    this.#erasures += 1
    this.#known.delete(name)
    return count
  }

  sealedPlaces(): readonly SealedPlace[] {
    return [peoplePlace('keys of people', this.#options.people, contextOf)]
  }

  /** The key of a person. Concurrent calls share one read. */
  #keyOf(person: string, make: boolean): PersonKey | Promise<PersonKey> {
    const name = this.#nameOf(person)
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const question = `${make ? 'make' : 'read'} ${name}`
    const asking =
      this.#asking.get(question) ?? this.#readOrMake(name, make).finally(() => this.#asking.delete(question))
    this.#asking.set(question, asking)
    return asking
  }

  async #readOrMake(name: string, make: boolean): Promise<PersonKey> {
    const { people, vault } = this.#options
    const begun = this.#erasures
    const all = await this.#inTime(
      make ? people.add(name, vault.seal(randomBytes(32), contextOf(name)), MOST_KEYS) : people.read(name),
    )
    const [sealed] = all
    if (sealed === undefined)
      throw new SealedError('SEALED_PERSON_ERASED', 'the person has no key: it was erased, or never created')
    const bytes = vault.openBytes(sealed, contextOf(name))
    const key: PersonKey = {
      id: createHash('sha256').update(bytes).digest().subarray(0, KEY_ID_BYTES),
      key: createSecretKey(bytes),
    }
    bytes.fill(0)
    if (begun === this.#erasures) this.#known.set(name, key)
    return key
  }

  #inTime<T>(answer: Promise<T>): Promise<T> {
    return withDeadline(answer, this.#timeout, 'the store of keys')
  }

  #seal({ id, key }: PersonKey, person: string, field: string, value: string | Uint8Array): string {
    if (typeof value === 'string' && HALF_A_CHARACTER.test(value))
      throw new UsageError(
        `the field \`${field}\` contains half a character (a lone surrogate), which cannot be encoded`,
      )
    const head = Buffer.concat([Buffer.of(VERSION), id])
    const content = typeof value === 'string' ? Buffer.from(value) : value
    const sealed = encrypt(key, this.#additionalData(head, person, field), content)
    return Buffer.concat([head, sealed]).toString('base64url')
  }

  #open({ id, key }: PersonKey, person: string, field: string, sealed: string): Buffer {
    if (typeof sealed !== 'string') throw damaged()
    const bytes = bytesOf(sealed)
    if (bytes.length < HEAD_BYTES + SEAL_BYTES || bytes[0] !== VERSION) throw damaged()
    const head = bytes.subarray(0, HEAD_BYTES)
    if (!head.subarray(1).equals(id))
      throw new SealedError(
        'SEALED_KEY_UNKNOWN',
        'the field was sealed with a key other than the current key of the person',
      )
    return decrypt(key, this.#additionalData(head, person, field), bytes.subarray(HEAD_BYTES))
  }

  /** JSON of strings, so that different names never give the same bytes. */
  #additionalData(head: Uint8Array, person: string, field: string): Buffer {
    checkFieldName(field)
    const names = JSON.stringify([...this.#place, this.#model, field, person])
    return Buffer.concat([Buffer.from('portcullis field '), head, Buffer.from(names)])
  }

  /** The name under which the key of a person is stored, one for each region and tenant. */
  #nameOf(person: string): string {
    if (typeof person !== 'string' || person === '')
      throw new UsageError('the id of a person must be a string')
    return createHash('sha256')
      .update(JSON.stringify([...this.#place, person]))
      .digest('base64url')
      .slice(0, 32)
  }
}

function contextOf(name: string): string {
  return `person key ${name}`
}

function mapped<Name extends string>(
  record: Readonly<Record<Name, string>>,
  change: (field: Name, value: string) => string,
): Record<Name, string> {
  const entries = (Object.entries(record) as [Name, string][]).map(([field, value]) => [
    field,
    change(field, value),
  ])
  return Object.fromEntries(entries) as Record<Name, string>
}
