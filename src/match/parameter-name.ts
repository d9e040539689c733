/** Decodes a parameter name as lenient parsers do: a plus becomes a space, and bytes that are not UTF-8 become U+FFFD. */
export function decodeParameterName(text: string): string {
  if (!/[%+]/.test(text)) return text
  return new URLSearchParams(`=${text}`).get('') as string
}

/**
 * Whether some parser (qs, PHP, Rails) may read two parameter names as the same one: `url`, `[url]`, `url[]`, `url[0]` and
 * `url[x][y]` all set `url`.
 */
export function sameParameter(one: string, other: string): boolean {
  return one === other || ((hasBracket(one) || hasBracket(other)) && overlap(outline(one), outline(other)))
}

function hasBracket(name: string): boolean {
  return name.includes('[') || name.includes(']')
}

/**
 * Whether a query, as written after its `?`, has a parameter that some parser may read as one of these names. Compares more
 * loosely than {@link sameParameter}: it ignores case and, because PHP does, trims names and reads dots and spaces as `_`.
 */
export function hasParameter(query: string, names: readonly string[]): boolean {
  if (query === '' || names.length === 0) return false
  const wanted = names.map((name) => outline(loosely(name)))
  return query.split('&').some((pair) => {
    const found = outline(loosely(decodeParameterName(pair.split('=', 1)[0] as string)))
    return wanted.some((name) => overlap(found, name))
  })
}

function overlap(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}[`) || other.startsWith(`${one}[`)
}

/** The parts of a name, regardless of the brackets between them. */
function outline(name: string): string {
  if (!hasBracket(name)) return name
  return name
    .split(/[[\]]/)
    .filter((part) => part !== '')
    .join('[')
}

function loosely(name: string): string {
  return name.trim().replace(/[ .]/g, '_').toLowerCase()
}
