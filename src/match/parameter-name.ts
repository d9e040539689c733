/** Decodes the name of a parameter as lenient parsers do: a plus is a space, and bytes that are not UTF-8 are U+FFFD. */
export function decodeParameterName(text: string): string {
  if (!/[%+]/.test(text)) return text
  return new URLSearchParams(`=${text}`).get('') as string
}

/**
 * Whether two names of parameters may be one to some parser: `url`, `[url]`, `url[]`, `url[0]` and `url[x][y]` all put
 * something into `url` (qs, PHP, Rails).
 */
export function sameParameter(one: string, other: string): boolean {
  return one === other || ((hasBracket(one) || hasBracket(other)) && overlap(outline(one), outline(other)))
}

function hasBracket(name: string): boolean {
  return name.includes('[') || name.includes(']')
}

/**
 * Whether a query, as written after its `?`, has a parameter that the reader of one of these names may take for it. Compares
 * more loosely than {@link sameParameter}: case does not count, and PHP trims names and turns dots and spaces into `_`.
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

/** The parts of a name, whatever brackets stand between them. */
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
