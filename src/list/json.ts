import { PolicyError, show } from '../errors.ts'
import { isRefused, readEntry, readMembers, type ListEntry } from './entry.ts'
import type { Refusals } from './refusals.ts'

/** Reads an array of ranges and of entries, from `start`. */
export function* readItems(text: string, start: number, refusals: Refusals): Generator<ListEntry> {
  for (const [index, item] of parseArray(start === 0 ? text : text.slice(start)).entries()) {
    const entry = typeof item === 'string' ? readMembers(item) : readEntry(item)
    if (!isRefused(entry)) {
      yield entry
      continue
    }
    for (const { path, ...why } of entry) {
      refusals.add({ path: path === '' ? `[${index}]` : `[${index}].${path}`, ...why })
    }
  }
}

function parseArray(text: string): readonly unknown[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new PolicyError([{ path: '', message: `is not JSON: ${(error as SyntaxError).message}` }], 'list')
  }
  if (Array.isArray(value)) return value
  throw new PolicyError(
    [{ path: '', message: `must be an array of ranges and entries, got ${show(value)}` }],
    'list',
  )
}

/** An entry as an element of an array. */
export function writeItem({ range, note, owner, expires }: ListEntry): string {
  return JSON.stringify({ range, note, owner, expires })
}
