import { isAnyArrayBuffer, isArrayBufferView, isDate, isMap, isSet, isUint8Array } from 'node:util/types'

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
 * @throws TypeError for a function or an instance of a class, since what it keeps hidden cannot be copied.
 */
export function copyOf(value: unknown, copies: Map<object, unknown> = new Map()): unknown {
  if (typeof value === 'function') throw refusal()
  if (typeof value !== 'object' || value === null) return value
  const known = copies.get(value)
  if (known !== undefined) return known
  const kept = <T>(copy: T): T => {
    copies.set(value, copy)
    return copy
  }
  if (Array.isArray(value)) {
    const copy = kept<unknown[]>([])
    for (const item of value as unknown[]) copy.push(copyOf(item, copies))
    return copy
  }
  if (isDate(value)) return kept(new Date(value.getTime()))
  if (isMap(value)) {
    const copy = kept(new Map<unknown, unknown>())
    for (const [key, item] of value) copy.set(copyOf(key, copies), copyOf(item, copies))
    return copy
  }
  if (isSet(value)) {
    const copy = kept(new Set<unknown>())
    for (const item of value) copy.add(copyOf(item, copies))
    return copy
  }
  // A pooled Buffer is a small part of a large ArrayBuffer, of which the rest belongs to others.
  if (Buffer.isBuffer(value)) return kept(Buffer.from(value))
  if (isUint8Array(value)) return kept(Uint8Array.from(value))
  if (isAnyArrayBuffer(value) || isArrayBufferView(value)) return kept(structuredClone(value))
  if (!isPlain(value)) throw refusal()
  const copy = kept(Object.create(Object.getPrototypeOf(value) as object | null) as Record<string, unknown>)
  for (const [name, item] of Object.entries(value)) {
    if (name !== '__proto__') copy[name] = copyOf(item, copies)
  }
  return copy
}

function refusal(): TypeError {
  return new TypeError('personal data must not hold a function or an instance of a class: pass plain values')
}
