/** A record whose members can be read and not written, at every depth. */
export type DeepReadonly<T> = T extends (...args: never[]) => unknown
  ? T
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

interface Source {
  readonly record: Readonly<Record<string, unknown>>
  /** The path of the record inside of its parent, with a dot at its end. */
  readonly path: string
  readonly onRead: (field: string) => void
  /** Views of nested records, made when they are first asked for. */
  readonly nested: Map<string, object>
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

  static read(view: object, name: string): unknown {
    // A child made with Object.create(view) has no stamp of its own.
    let holder: object | null = view
    while (holder !== null && !(#source in holder)) holder = Object.getPrototypeOf(holder) as object | null
    if (holder === null) return undefined
    return readMember(holder.#source, name)
  }
}

/**
 * A read-only view of a record of personal data that reports each read of a field by its dotted path (`address.city`).
 *
 * Every field is an own, enumerable getter, so that every way to a value goes through it: property, destructuring, spread,
 * `Object.values`, `JSON.stringify`, `structuredClone`, a property descriptor. Printing the view shows `[Getter]` and no
 * value. Names (`Object.keys`, `in`) are not values and are not reported. Nested records are views of their own. A list,
 * a `Date`, `Map`, `Set` or array of bytes counts as one field and is handed out as a copy.
 *
 * The values are those of the record at the time they are read; keep no other reference to it.
 *
 * @throws TypeError when the record, or a record inside of it, is not a plain object, or holds a function.
 */
export function personalView<T extends object>(record: T, onRead: (field: string) => void): DeepReadonly<T> {
  return makeView(record, '', onRead, []) as DeepReadonly<T>
}

function makeView(
  record: object,
  path: string,
  onRead: (field: string) => void,
  around: readonly object[],
): object {
  if (!isPlain(record)) {
    throw new TypeError(
      `personal data must be a plain object${path === '' ? '' : ` (at \`${path.slice(0, -1)}\`)`}: pass what toObject(), toJSON() or a row of the database gives`,
    )
  }
  if (around.includes(record))
    throw new TypeError(`personal data must not contain itself (at \`${path.slice(0, -1)}\`)`)
  const nested = new Map<string, object>()
  const view: object = Object.create(Object.getPrototypeOf(record) as object | null) as object
  for (const [name, value] of Object.entries(record)) {
    if (typeof value === 'function')
      throw new TypeError(`personal data must not hold a function (at \`${path}${name}\`)`)
    if (isPlain(value)) nested.set(name, makeView(value, `${path}${name}.`, onRead, [...around, record]))
    Object.defineProperty(view, name, { get: getterOf(name), enumerable: true })
  }
  new Stamp(view, { record: record as Record<string, unknown>, path, onRead, nested })
  return Object.freeze(view)
}

function getterOf(name: string): () => unknown {
  return function (this: object) {
    return Stamp.read(this, name)
  }
}

function readMember({ record, path, onRead, nested }: Source, name: string): unknown {
  const view = nested.get(name)
  if (view !== undefined) return view
  onRead(path + name)
  const value = record[name]
  return typeof value === 'object' && value !== null ? structuredClone(value) : value
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
