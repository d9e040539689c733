import {
  parseDictionary,
  parseItem,
  parseList,
  serializeDictionary,
  serializeInnerList,
  serializeItem,
  serializeList,
  type Dictionary,
  type InnerList,
  type Item,
} from 'structured-headers'
import type { StructuredField, StructuredFields } from './components.ts'

/**
 * Parses the lines of one header as a dictionary (RFC 9651). `undefined` if they are not a dictionary. Repeated keys are
 * refused, although by RFC 9651 the last one wins, because two readers may disagree about them.
 */
export function readDictionary(lines: readonly string[]): Dictionary | undefined {
  const text = lines.join(', ')
  try {
    const dictionary = parseDictionary(text)
    return isWhole(text, [...dictionary.values()]) ? dictionary : undefined
  } catch {
    return undefined
  }
}

/** Structured fields for the parameters `;sf` and `;key`. */
export const structuredFields: StructuredFields = { read: (text) => new Field(text) }

class Field implements StructuredField {
  readonly #text: string
  #dictionary: Dictionary | 'none' | undefined

  constructor(text: string) {
    this.#text = text
  }

  canonical(): string | undefined {
    if (!canBeWritten(this.#text)) return undefined
    // Only the definition of a field says which type it has. If the type makes a difference, the field has no canonical form.
    const forms = new Set<string>()
    for (const rewrite of [rewriteItem, rewriteList, rewriteDictionary]) {
      try {
        forms.add(rewrite(this.#text))
      } catch (error) {
        if (error === AMBIGUOUS) return undefined
      }
    }
    const [form] = forms
    return forms.size === 1 ? form : undefined
  }

  member(key: string): string | undefined {
    this.#dictionary ??= (canBeWritten(this.#text) ? readDictionary([this.#text]) : undefined) ?? 'none'
    const member = this.#dictionary === 'none' ? undefined : this.#dictionary.get(key)
    if (member === undefined) return undefined
    return isInnerList(member) ? serializeInnerList(member) : serializeItem(member)
  }
}

/** The raw parts of a dictionary, before parsing. */
export interface WrittenDictionary {
  /** Each member in order, without the insignificant white space (RFC 9651 4.2). */
  readonly members: readonly string[]
  /** The number of parameters of all members together. */
  readonly parameters: number
}

const PIECES = /%"[^"]*"?|"(?:[^"\\]|\\.)*"?|[^",; \t%]+|[^]/g

/** Splits a dictionary without parsing it. For a text that is not a dictionary, the result is only good for counting. */
export function scanDictionary(text: string): WrittenDictionary {
  const members: string[] = []
  let member = ''
  let parameters = 0
  for (const piece of text.match(PIECES) ?? []) {
    if (piece === ',') {
      members.push(member)
      member = ''
    } else if (piece !== ' ' && piece !== '\t') {
      if (piece === ';') parameters++
      member += piece
    }
  }
  members.push(member)
  return { members, parameters }
}

const AMBIGUOUS = new Error('a key is repeated')

function rewriteItem(text: string): string {
  const item = parseItem(text)
  return serializeItem(whole(text, [item], item))
}

function rewriteList(text: string): string {
  const list = parseList(text)
  return serializeList(whole(text, list, list))
}

function rewriteDictionary(text: string): string {
  const dictionary = parseDictionary(text)
  return serializeDictionary(whole(text, [...dictionary.values()], dictionary))
}

function whole<Parsed>(text: string, members: readonly (InnerList | Item)[], parsed: Parsed): Parsed {
  if (!isWhole(text, members)) throw AMBIGUOUS
  return parsed
}

// The parser does not distinguish 1 from 1.0, and writes a control character in a display string too short.
function canBeWritten(text: string): boolean {
  return !/%0[0-9a-f]/.test(text) && !/(?:^|[=\s(,])-?\d{1,12}\.0{1,3}(?!\d)/.test(text)
}

// The parser keeps only the last of repeated keys and parameters, so fewer come out than went in. Outside strings, a comma
// only separates members, and a semicolon only begins a parameter. Every string is closed, because parsing succeeded.
function isWhole(text: string, members: readonly (InnerList | Item)[]): boolean {
  const syntax = text.replace(/%"[^"]*"?|"(?:[^"\\]|\\.)*"?/g, '')
  let parameters = 0
  for (const member of members) {
    parameters += member[1].size
    if (isInnerList(member)) for (const [, ofItem] of member[0]) parameters += ofItem.size
  }
  const written = members.length === 0 && !syntax.includes(',') ? 0 : count(syntax, ',') + 1
  return written === members.length && count(syntax, ';') === parameters
}

function count(text: string, character: string): number {
  let found = 0
  for (let at = text.indexOf(character); at !== -1; at = text.indexOf(character, at + 1)) found++
  return found
}

export function isInnerList(member: InnerList | Item): member is InnerList {
  return Array.isArray(member[0])
}
