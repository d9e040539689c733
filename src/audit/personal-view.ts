import { UsageError } from '../errors.ts'
import { cannotBeShown, fieldName, noRecord } from './field-name.ts'
import type { ModelRules } from './models.ts'
import { copyOf, describeKind, inheritedFields, isPlain } from './personal-value.ts'

/** A record whose members can be read but not written, at every depth. Dates, bytes and similar values are unchanged. */
export type DeepReadonly<T> = unknown extends T
  ? T
  : T extends ((...args: never[]) => unknown) | Date | ArrayBuffer | ArrayBufferView
    ? T
    : T extends ReadonlyMap<infer Key, infer Value>
      ? ReadonlyMap<Key, DeepReadonly<Value>>
      : T extends ReadonlySet<infer Value>
        ? ReadonlySet<DeepReadonly<Value>>
        : T extends object
          ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
          : T

interface Accessor {
  readonly get: () => unknown
  readonly set: (value: unknown) => void
}

/** Accessors by field name. Views that share them are created several times faster. */
export type FieldGetters = Map<string, Accessor>

/** Beyond this number of names, each view creates its own getters, so that records with invented names cannot fill the memory. */
const MAX_GETTERS = 1_000

/** How a view treats its fields. */
export interface Seal {
  onRead(field: string): void
  /** Shared by the views of one application. */
  readonly getters: FieldGetters
  /** The declaration of the fields. Left out: all of them are personal. */
  readonly model?: ModelRules | undefined
  /** Seals a row of another model in a field. */
  nested?(model: string, row: object): object
}

interface Source {
  readonly record: Readonly<Record<string, unknown>>
  /** The path of the record inside its parent, with a dot at its end: as it is reported, and as a model names it. */
  readonly path: string
  readonly place: string
  readonly seal: Seal
  /** The records that contain this one. */
  readonly around: readonly object[]
  /** Views of nested records, each with its record. */
  nested: Map<string, { readonly record: object; readonly view: object }> | undefined
  /** The lists and rows that were last handed out. */
  handed: Map<string, unknown> | undefined
}

/** A constructor that returns another object lets a subclass put private fields on that object. */
class Given {
  constructor(target: object) {
    // oxlint-disable-next-line no-constructor-return -- this is its whole purpose
    return target
  }
}

/** Puts the values of a record into a private field of the view, where neither code nor a printer can see them. */
class Stamp extends Given {
  readonly #source: Source

  constructor(target: object, source: Source) {
    super(target)
    this.#source = source
  }

  static read(view: unknown, name: string): unknown {
    if (typeof view !== 'object') return undefined
    // A child made with Object.create(view) has no stamp of its own.
    let holder: object | null = view
    while (holder !== null && !(#source in holder)) holder = Object.getPrototypeOf(holder) as object | null
    return holder === null ? undefined : readMember(holder.#source, name)
  }

  /** Prisma writes each list and each row back to the field it was read from. Nothing else can be written. */
  static write(view: unknown, name: string, value: unknown): void {
    const source = typeof view === 'object' && view !== null ? Stamp.sourceOf(view) : undefined
    if (typeof value === 'object' && value !== null && source?.handed?.get(name) === value) return
    throw new TypeError(`\`${fieldName(name)}\` cannot be written: a sealed record is read-only`)
  }

  static sourceOf(view: object): Source | undefined {
    return #source in view ? view.#source : undefined
  }
}

/**
 * A read-only view of a record of personal data that reports each read of a field by its dotted path (`address.city`).
 *
 * Every field is an own getter, so every way to a value goes through it: property, destructuring, spread, `Object.values`,
 * `JSON.stringify`, `structuredClone`, a property descriptor. Printing the view shows `[Getter]` and no value. Names
 * (`Object.keys`, `in`) are not values, and are not reported.
 *
 * - The record is a plain object or an instance of a class. The view has the methods and accessors of that class, and their reads
 *   through the view are reported. Private members of the class cannot be read through it.
 * - A nested plain object is a separate view. Accessing it is not a read, unless it is empty.
 * - A list, a `Date`, `Map`, `Set`, `Buffer` or another array of bytes counts as one field, and is handed out as a copy with its
 *   own memory. An instance of another class, such as an `ObjectId`, counts as one field too, but is handed out itself.
 * - A name that does not look like a field name, such as an address used as a key, is reported as `*`, because it may be personal
 *   itself. Members named `__proto__` or by a symbol are left out.
 * - The values are those of the record at the time they are read. Keep no other reference to the record: reads of the record
 *   itself are not seen. Nor are uses of a value after it was read.
 * - A `Proxy` around a view shows no fields.
 *
 * @param getters shared by the views of one application. Default: for this view only.
 * @throws TypeError if `record` cannot be a record, or if one of its fields contains a function or the record itself. The message
 * names the field and the class, but no value. A value added later is refused when it is read.
 */
export function personalView<T extends object>(
  record: T,
  onRead: (field: string) => void,
  getters: FieldGetters = new Map(),
): DeepReadonly<T> {
  return sealedView(record, { onRead, getters }) as DeepReadonly<T>
}

/** Like {@link personalView}, with a declaration of the fields. */
export function sealedView(record: object, seal: Seal): object {
  return makeView(record, '', '', seal, [])
}

/**
 * The record to seal: the given object, or the record behind a view.
 *
 * @throws TypeError
 */
export function recordOf(given: unknown): object {
  if (inheritedFields(given) === undefined) throw noRecord(given)
  return Stamp.sourceOf(given as object)?.record ?? (given as object)
}

/**
 * Reads and reports one field of a view that a model declares as secret.
 *
 * @throws UsageError if this is not a view, or the field is not secret.
 */
export function readSecret(view: object, name: string): unknown {
  const source = Stamp.sourceOf(view)
  if (source?.seal.model?.secret.has(source.place + name) !== true)
    throw new UsageError('`secret()` needs a sealed row, and a field that its model declares as secret')
  return leafOf(source, name, valueOf(source.record, name))
}

function makeView(
  record: object,
  path: string,
  place: string,
  seal: Seal,
  around: readonly object[],
): object {
  const inherited = inheritedFields(record)
  if (inherited === undefined) throw noRecord(record)
  if (around.includes(record)) throw cannotBeShown(path.slice(0, -1), 'a record that it is a part of')
  const source: Source = {
    record: record as Record<string, unknown>,
    path,
    place,
    seal,
    around: [...around, record],
    nested: undefined,
    handed: undefined,
  }
  const view = Object.create(Object.getPrototypeOf(record) as object | null) as object
  for (const name of Object.keys(record)) defineField(view, source, name)
  for (const name of inherited) if (!Object.hasOwn(record, name)) defineField(view, source, name)
  new Stamp(view, source)
  return Object.freeze(view)
}

function defineField(view: object, source: Source, name: string): void {
  // As a member it would become the prototype of every object that the view is assigned to.
  if (name === '__proto__') return
  const { record, path, place, seal } = source
  const { model, getters } = seal
  // A getter, such as one of another view, must not run before somebody reads it.
  const value: unknown = Object.getOwnPropertyDescriptor(record, name)?.value
  if (model !== undefined) {
    const at = place + name
    if (model.secret.has(at)) {
      const get = (): never => {
        throw new UsageError(
          `the field \`${at}\` of the model \`${model.name}\` is secret: read it with audit.secret(row, '${name}')`,
        )
      }
      Object.defineProperty(view, name, { get, enumerable: false })
      return
    }
    if (model.open.has(at) && value !== undefined && (typeof value !== 'object' || value === null)) {
      if (typeof value === 'function') throw cannotBeShown(path + fieldName(name), 'a function')
      Object.defineProperty(view, name, { value, enumerable: true })
      return
    }
  }
  const isDeclared = model !== undefined && (model.open.has(place + name) || model.nested.has(place + name))
  if (!isDeclared && isPlain(value)) nestedView(source, name, value)
  else if (typeof value === 'function') throw cannotBeShown(path + fieldName(name), 'a function')
  Object.defineProperty(view, name, { ...accessorOf(name, getters), enumerable: true })
}

function accessorOf(name: string, getters: FieldGetters): Accessor {
  const known = getters.get(name)
  if (known !== undefined) return known
  const accessor: Accessor = {
    get(this: unknown) {
      return Stamp.read(this, name)
    },
    set(this: unknown, value) {
      Stamp.write(this, name, value)
    },
  }
  if (getters.size < MAX_GETTERS) getters.set(name, accessor)
  return accessor
}

/** The current value of a record under this name. An inherited method is not a value. */
function valueOf(record: Readonly<Record<string, unknown>>, name: string): unknown {
  const value = record[name]
  return typeof value === 'function' && !Object.hasOwn(record, name) ? undefined : value
}

function readMember(source: Source, name: string): unknown {
  const { record, path, place, seal } = source
  const value = valueOf(record, name)
  const { model } = seal
  if (model !== undefined) {
    if (model.open.has(place + name)) return copied(source, name, value)
    const other = model.nested.get(place + name)
    if (other !== undefined && seal.nested !== undefined) {
      if (Array.isArray(value)) {
        seal.onRead(path + fieldName(name))
        return handed(
          source,
          name,
          value.map((row: unknown) => nestedRow(source, name, other, row)),
        )
      }
      if (inheritedFields(value) !== undefined)
        return handed(source, name, nestedRow(source, name, other, value))
    }
  }
  if (!isPlain(value)) return leafOf(source, name, value)
  if (Object.keys(value).length === 0) seal.onRead(path + fieldName(name))
  return nestedView(source, name, value)
}

function nestedRow({ seal, path }: Source, name: string, model: string, row: unknown): unknown {
  if (row === null || row === undefined) return row
  if (inheritedFields(row) === undefined) throw cannotBeShown(path + fieldName(name), describeKind(row))
  return seal.nested?.(model, row)
}

/** A value that cannot be handed out is not reported. */
function leafOf(source: Source, name: string, value: unknown): unknown {
  const copy = copied(source, name, value)
  source.seal.onRead(source.path + fieldName(name))
  return Array.isArray(copy) ? handed(source, name, copy) : copy
}

function handed(source: Source, name: string, value: unknown): unknown {
  source.handed ??= new Map()
  source.handed.set(name, value)
  return value
}

function copied({ path }: Source, name: string, value: unknown): unknown {
  if (typeof value !== 'object' && typeof value !== 'function') return value
  return copyOf(value, (inside) => cannotBeShown(path + fieldName(name), describeKind(inside)))
}

/** The view of a nested record. It stays the same while the record does. */
function nestedView(source: Source, name: string, record: object): object {
  const { path, place, seal, around } = source
  source.nested ??= new Map()
  const known = source.nested.get(name)
  if (known?.record === record) return known.view
  const view = makeView(record, `${path}${fieldName(name)}.`, `${place}${name}.`, seal, around)
  source.nested.set(name, { record, view })
  return view
}
