import { copyOf, describeKind, isLeaf, isPlain } from './personal-value.ts'

/** A record whose members can be read and not written, at every depth. Dates, bytes and the like stay what they are. */
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

/** Getters by name of the field. Views that share them are made several times faster. */
export type FieldGetters = Map<string, () => unknown>

/** Beyond so many names getters are made anew for each view: records with made-up names must not fill the memory. */
const MAX_GETTERS = 1_000

interface Source {
  readonly record: Readonly<Record<string, unknown>>
  /** The path of the record inside of its parent, with a dot at its end. */
  readonly path: string
  readonly onRead: (field: string) => void
  readonly getters: FieldGetters
  /** The records around this one. */
  readonly around: readonly object[]
  /** Views of nested records, each with the record that it shows. */
  nested: Map<string, { readonly record: object; readonly view: object }> | undefined
}

/** Returning another object from a constructor lets a subclass put private fields on it. */
class Given {
  constructor(target: object) {
    // oxlint-disable-next-line no-constructor-return -- this is its whole purpose
    return target
  }
}

/** Puts the values of a record where neither a reader nor a printer can see them: in a private field of the view. */
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
}

/**
 * A read-only view of a record of personal data that reports each read of a field by its dotted path (`address.city`).
 *
 * Every field is an own, enumerable getter, so that every way to a value goes through it: property, destructuring, spread,
 * `Object.values`, `JSON.stringify`, `structuredClone`, a property descriptor. Printing the view shows `[Getter]` and no
 * value. Names (`Object.keys`, `in`) are not values and are not reported.
 *
 * - A nested record is a view of its own. To reach for it is not yet a read, except when it is empty.
 * - A list, a `Date`, `Map`, `Set`, `Buffer` or another array of bytes counts as one field and is handed out as a copy, with
 *   memory of its own.
 * - A name that does not look like the name of a field, such as an address that is used as a key, is reported as `*`,
 *   since it may be personal itself. Members named `__proto__` or by a symbol are left out.
 * - The values are those of the record at the time they are read. Keep no other reference to it: what reads the record
 *   itself is not seen. The same goes for a value once it was read.
 * - A `Proxy` around a view shows no fields.
 *
 * @param getters shared by the views of one application. Default: for this view alone.
 * @throws TypeError when the record is not a plain object, or when one of its fields holds a function, the record itself or
 *   an instance of another class, such as the `ObjectId` of MongoDB or the `Decimal` of Prisma. The message names the field
 *   and the class and holds no value. What stands in a list, and what is put there later, is refused when it is read.
 */
export function personalView<T extends object>(
  record: T,
  onRead: (field: string) => void,
  getters: FieldGetters = new Map(),
): DeepReadonly<T> {
  return makeView(record, '', onRead, getters, []) as DeepReadonly<T>
}

function makeView(
  record: object,
  path: string,
  onRead: (field: string) => void,
  getters: FieldGetters,
  around: readonly object[],
): object {
  if (!isPlain(record)) throw noRecord(record)
  if (around.includes(record)) throw cannotBeShown(path.slice(0, -1), 'a record that it is a part of')
  const source: Source = {
    record: record as Record<string, unknown>,
    path,
    onRead,
    getters,
    around: [...around, record],
    nested: undefined,
  }
  const view = Object.create(Object.getPrototypeOf(record) as object | null) as object
  for (const name of Object.keys(record)) {
    // As a member it would become the prototype of whatever the view is assigned to.
    if (name === '__proto__') continue
    // A getter, such as one of another view, is not run before somebody reads it.
    const value: unknown = Object.getOwnPropertyDescriptor(record, name)?.value
    if (isPlain(value)) nestedView(source, name, value)
    else if (!isLeaf(value)) throw cannotBeShown(path + fieldName(name), describeKind(value))
    Object.defineProperty(view, name, { get: getterOf(name, getters), enumerable: true })
  }
  new Stamp(view, source)
  return Object.freeze(view)
}

function getterOf(name: string, getters: FieldGetters): () => unknown {
  const known = getters.get(name)
  if (known !== undefined) return known
  const getter = function (this: unknown): unknown {
    return Stamp.read(this, name)
  }
  if (getters.size < MAX_GETTERS) getters.set(name, getter)
  return getter
}

function readMember(source: Source, name: string): unknown {
  const { record, path, onRead } = source
  const value = Object.hasOwn(record, name) ? record[name] : undefined
  const field = path + fieldName(name)
  if (isPlain(value)) {
    if (Object.keys(value).length === 0) onRead(field)
    return nestedView(source, name, value)
  }
  const copy = copyOf(value, (inside) => cannotBeShown(field, describeKind(inside)))
  onRead(field)
  return copy
}

/** The view of a nested record: the same one, for as long as it is the same record. */
function nestedView(source: Source, name: string, record: object): object {
  const { path, onRead, getters, around } = source
  source.nested ??= new Map()
  const known = source.nested.get(name)
  if (known?.record === record) return known.view
  const view = makeView(record, `${path}${fieldName(name)}.`, onRead, getters, around)
  source.nested.set(name, { record, view })
  return view
}

const FIELD_NAME = /^[\p{L}_$][\p{L}\p{N}_$-]{0,63}$/u

function fieldName(name: string): string {
  return FIELD_NAME.test(name) ? name : '*'
}

function noRecord(given: unknown): TypeError {
  return new TypeError(
    `\`person()\` must be given a plain object, got ${describeKind(given)}. ` +
      'Pass a copy, such as `{ ...row }`, or what the toObject() or toJSON() of a document returns.',
  )
}

function cannotBeShown(field: string, kind: string): TypeError {
  return new TypeError(
    `the field \`${field}\` of the record that \`person()\` was given holds ${kind}, which cannot be copied. ` +
      'Turn it into a plain value first, for example by String(value), or pass what the toObject() or toJSON() of a ' +
      'document returns.',
  )
}
