import {
  isAnyArrayBuffer,
  isArrayBufferView,
  isDate,
  isMap,
  isSet,
  isSharedArrayBuffer,
} from 'node:util/types'

/** Whether it is an object literal, or an object without prototype; of another realm too. */
export function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === null || prototype === Object.prototype) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}

/** Whether it can be handed out as one field: a primitive, or something that `copyOf` copies. */
export function isLeaf(value: unknown): boolean {
  if (typeof value === 'function') return false
  return typeof value !== 'object' || value === null || Array.isArray(value) || isBuiltIn(value)
}

function isBuiltIn(value: object): boolean {
  return isDate(value) || isMap(value) || isSet(value) || isAnyArrayBuffer(value) || isArrayBufferView(value)
}

/**
 * A copy of a value that shares nothing with it, at any depth. What points to itself stays so.
 *
 * @param refuse makes the error for a function or an instance of a class, since what it keeps hidden cannot be copied.
 */
export function copyOf(
  value: unknown,
  refuse: (value: unknown) => Error,
  copies: Map<object, unknown> = new Map(),
): unknown {
  if (typeof value === 'function') throw refuse(value)
  if (typeof value !== 'object' || value === null) return value
  const known = copies.get(value)
  if (known !== undefined) return known
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
  if (!isPlain(value)) throw refuse(value)
  const copy = kept(Object.create(Object.getPrototypeOf(value) as object | null) as Record<string, unknown>)
  for (const [name, item] of Object.entries(value)) {
    if (name !== '__proto__') copy[name] = copyOf(item, refuse, copies)
  }
  return copy
}

/**
 * The same bytes in memory of their own and of their size. The buffer behind a view can be larger than the view, as the
 * pool of `Buffer` is, and what lies beside it belongs to others.
 */
function copyOfBytes(value: ArrayBufferLike | ArrayBufferView): ArrayBufferLike | ArrayBufferView {
  const shared = isSharedArrayBuffer(value)
  const own = shared ? new SharedArrayBuffer(value.byteLength) : new ArrayBuffer(value.byteLength)
  // A detached buffer has no bytes, and no view can be made of it.
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

/** The name of the built-in class of a typed array, also of one of a subclass or of another realm. */
const kindOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined

/** What a value is, for an error: the name of a class, and nothing of the value itself. */
export function describeKind(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object') return value === undefined ? 'undefined' : `a ${typeof value}`
  const prototype = Object.getPrototypeOf(value) as object | null
  const maker: unknown =
    prototype === null ? undefined : Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  const name = typeof maker === 'function' ? maker.name : ''
  return name.length > 1 && name.length <= 64 && /^[\w$]+$/.test(name)
    ? `an instance of \`${name}\``
    : 'an instance of a class'
}
