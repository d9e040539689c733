/**
 * Returns the value in a JSON text at a path of names, the outermost first: `undefined` if nothing is there. `repeated` if a name
 * on the path appears twice in its object, with any escapes: `JSON.parse` takes the last, other readers take the first. Linear in
 * the length of the text.
 */
export function readMember(
  text: string,
  path: readonly string[],
): { readonly value: unknown } | { readonly problem: 'malformed body' | 'repeated' } {
  return memberOf(text, parseJson(text), path)
}

/** The value of a JSON text; `undefined` if the text is not JSON. */
export function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

/** Like {@link readMember}, for a text that was already parsed. */
export function memberOf(
  text: string,
  parsed: { readonly value: unknown } | undefined,
  path: readonly string[],
): ReturnType<typeof readMember> {
  if (parsed === undefined) return { problem: 'malformed body' }
  let { value } = parsed
  if (repeatsName(text, path)) return { problem: 'repeated' }
  for (const name of path) value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
  return { value }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Walks the brackets and strings of a text that is known to be JSON. */
function repeatsName(text: string, path: readonly string[]): boolean {
  const seen = new Set<number>()
  /** How many objects and arrays are open. */
  let depth = 0
  /** How many of them, from the outermost, are objects on the path. */
  let along = 0
  /** Whether the next value is on the path. */
  let entering = true
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index]
    if (character === '{') {
      if (entering) along += 1
      depth += 1
      entering = false
    } else if (character === '[') {
      depth += 1
      entering = false
    } else if (character === '}' || character === ']') {
      depth -= 1
      along = Math.min(along, depth)
      entering = false
    } else if (character === ',') {
      entering = false
    } else if (character === '"') {
      const end = endOfString(text, index)
      if (depth === along && isName(text, end) && nameAt(text, index, end) === path[along - 1]) {
        if (seen.has(along)) return true
        seen.add(along)
        entering = along < path.length
      }
      index = end - 1
    }
  }
  return false
}

/** The index after the closing quotation mark. */
function endOfString(text: string, start: number): number {
  let index = start + 1
  while (text[index] !== '"') index += text[index] === '\\' ? 2 : 1
  return index + 1
}

function isName(text: string, end: number): boolean {
  let index = end
  while (/[ \t\r\n]/.test(text[index] ?? '')) index += 1
  return text[index] === ':'
}

function nameAt(text: string, start: number, end: number): string {
  const written = text.slice(start, end)
  return written.includes('\\') ? (JSON.parse(written) as string) : written.slice(1, -1)
}
