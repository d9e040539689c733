import {
  isAnyArrayBuffer,
  isArrayBufferView,
  isBoxedPrimitive,
  isDate,
  isExternal,
  isGeneratorObject,
  isMap,
  isMapIterator,
  isNativeError,
  isPromise,
  isRegExp,
  isSet,
  isSetIterator,
  isSharedArrayBuffer,
  isWeakMap,
  isWeakSet,
} from 'node:util/types'

/** Whether it is an object literal or an object without a prototype, also of another realm. */
export function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || isRoot(prototype)
}

/** Whether it is `Object.prototype`, of any realm. */
function isRoot(prototype: object): boolean {
  if (prototype === Object.prototype) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}

/** Built-in values whose content is not in properties. */
const KINDS_OF_VALUES: readonly ((value: unknown) => boolean)[] = [
  Array.isArray,
  isDate,
  isMap,
  isSet,
  isAnyArrayBuffer,
  isArrayBufferView,
  isBoxedPrimitive,
  isExternal,
  isGeneratorObject,
  isMapIterator,
  isNativeError,
  isPromise,
  isRegExp,
  isSetIterator,
  isWeakMap,
  isWeakSet,
]

const NO_NAMES: readonly string[] = Object.freeze([])

/** The names of the values on the prototypes of each class. */
const membersOfClasses = new WeakMap<object, readonly string[]>()

/**
 * The names of the fields that a record inherits; `undefined` if it cannot be a record. A record is a plain object, or an
 * instance of a class whose fields are its own properties: it inherits methods, accessors and constants of the class. An object
 * that inherits from another object rather than from a class is not a record, because its fields are not its own.
 */
export function inheritedFields(value: unknown): readonly string[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === null || isRoot(prototype)) return NO_NAMES
  // Documents of mongoose keep their fields elsewhere.
  if (KINDS_OF_VALUES.some((is) => is(value)) || 'toObject' in value) return undefined
  return fieldsOfClass(prototype)
}

function fieldsOfClass(first: object): readonly string[] | undefined {
  const known = membersOfClasses.get(first)
  if (known !== undefined) return known
  const names = new Set<string>()
  let prototype: object | null = first
  for (
    ;
    prototype !== null && !isRoot(prototype);
    prototype = Object.getPrototypeOf(prototype) as object | null
  ) {
    const maker: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
    if (typeof maker !== 'function' || maker.prototype !== prototype) return undefined
    for (const [name, { value, get }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (get === undefined && typeof value !== 'function' && value !== undefined) names.add(name)
    }
  }
  const found = [...names]
  membersOfClasses.set(first, found)
  return found
}

/**
 * A deep copy of a value that shares nothing with it; cycles are preserved. An instance of a class, such as the `ObjectId` of
 * MongoDB or the `Decimal` of Prisma, is returned itself, because its hidden content cannot be copied.
 *
 * @param refuse makes the error for a function.
 */
export function copyOf(
  value: unknown,
  refuse: (value: unknown) => Error,
  copies?: Map<object, unknown>,
): unknown {
  if (typeof value === 'function') throw refuse(value)
  if (typeof value !== 'object' || value === null) return value
  const known = copies?.get(value)
  if (known !== undefined) return known
  return copyOfObject(value, refuse, copies ?? new Map<object, unknown>())
}

function copyOfObject(
  value: object,
  refuse: (value: unknown) => Error,
  copies: Map<object, unknown>,
): unknown {
  const kept = <T>(copy: T): T => {
    copies.set(value, copy)
    return copy
  }
  if (Array.isArray(value)) {
    const copy = kept<unknown[]>([])
    for (const item of value as unknown[]) copy.push(copyOf(item, refuse, copies))
    return copy
  }
  if (isDate(value)) return kept(new Date(Date.prototype.getTime.call(value)))
  if (isMap(value)) {
    const copy = kept(new Map<unknown, unknown>())
    for (const [key, item] of value) copy.set(copyOf(key, refuse, copies), copyOf(item, refuse, copies))
    return copy
  }
  if (isSet(value)) {
    const copy = kept(new Set<unknown>())
    for (const item of value) copy.add(copyOf(item, refuse, copies))
    return copy
  }
  if (isAnyArrayBuffer(value) || isArrayBufferView(value)) return kept(copyOfBytes(value))
  if (!isPlain(value)) return value
  const copy = kept(Object.create(Object.getPrototypeOf(value) as object | null) as Record<string, unknown>)
  for (const [name, item] of Object.entries(value)) {
    if (name !== '__proto__') copy[name] = copyOf(item, refuse, copies)
  }
  return copy
}

/**
 * The same bytes in a buffer of their own size. The buffer behind a view can be larger, such as the pool of `Buffer`, and its
 * other bytes belong to other values.
 */
function copyOfBytes(value: ArrayBufferLike | ArrayBufferView): ArrayBufferLike | ArrayBufferView {
  const shared = isSharedArrayBuffer(value)
  const own = shared ? new SharedArrayBuffer(value.byteLength) : new ArrayBuffer(value.byteLength)
  // A detached buffer has no bytes, and a view of it cannot be created.
  if (value.byteLength > 0) {
    const given = isArrayBufferView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : new Uint8Array(value as ArrayBufferLike)
    new Uint8Array(own).set(given)
  }
  if (!isArrayBufferView(value)) return own
  if (Buffer.isBuffer(value)) return Buffer.from(own)
  const kind = kindOf.call(value) ?? 'DataView'
  return new (globalThis as unknown as Record<string, ViewConstructor>)[kind]!(own)
}

type ViewConstructor = new (buffer: ArrayBufferLike) => ArrayBufferView

/** The name of the built-in class of a typed array, also for a subclass or another realm. */
const kindOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined

/** The printed form of an object such as an `ObjectId`; `undefined` if that only says that it is an object. */
export function printedText(value: { toString(): string }): string | undefined {
  return value.toString === Object.prototype.toString ? undefined : value.toString()
}

/** The kind of a value, for an error: the name of its class, unless a build has shortened it, without the value. */
export function describeKind(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object') return value === undefined ? 'undefined' : `a ${typeof value}`
  const prototype = Object.getPrototypeOf(value) as object | null
  const maker: unknown =
    prototype === null ? undefined : Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  const name = typeof maker === 'function' ? maker.name : ''
  return name.length > 2 && name.length <= 64 && /^[\w$]+$/.test(name)
    ? `an instance of \`${name}\``
    : 'an instance of a class'
}
