/** Longer names are not compared: they are rarely typing mistakes, and the work grows with the product of the lengths. */
const LONGEST = 64

/**
 * Returns the candidate that a misspelt name probably means: the nearest one, or the first of several equally near. `undefined`
 * if none is near enough. Near enough means about one mistake in three characters, or that one name begins or ends with the
 * other.
 */
export function didYouMean(given: unknown, candidates: Iterable<string>): string | undefined {
  if (typeof given !== 'string' || given.length === 0 || given.length > LONGEST) return undefined
  const name = plain(given)
  let nearest: string | undefined
  let longer: string | undefined
  let least = Infinity
  for (const candidate of candidates) {
    if (candidate === given || candidate.length > LONGEST) continue
    const other = plain(candidate)
    const distance = Math.min(distanceBetween(name, other), distanceBetween(singular(name), singular(other)))
    if (distance < least) [nearest, least] = [candidate, distance]
    if (goesOn(name, other)) longer ??= candidate
  }
  if (nearest === undefined) return undefined
  const isNear = goesOn(name, plain(nearest)) || least <= Math.floor(Math.max(name.length, 3) / 3)
  return isNear ? nearest : longer
}

/** Whether the longer of two names begins or ends with the other. */
function goesOn(name: string, other: string): boolean {
  const [short, long] = [name, other].toSorted((a, b) => a.length - b.length) as [string, string]
  return short.length >= 4 && (long.startsWith(short) || long.endsWith(short))
}

/** `; did you mean …?` as the end of a sentence, or nothing. */
export function meant(given: unknown, candidates: Iterable<string>): string {
  const candidate = didYouMean(given, candidates)
  return candidate === undefined ? '' : `; did you mean \`${candidate}\`?`
}

/** Ignores case and separators: `max-age` and `maxage` match `maxAge`. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[-_ ]/g, '')
}

function singular(name: string): string {
  return name.endsWith('ies') ? `${name.slice(0, -3)}y` : name.replace(/s$/, '')
}

/** The number of characters to change, omit, add or swap with their neighbour (optimal string alignment). */
function distanceBetween(one: string, other: string): number {
  let before: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1]
      let least = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
      )
      const swapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      if (row > 1 && column > 1 && swapped) least = Math.min(least, at(before, column - 2) + 1)
      current.push(least)
    }
    before = last
    last = current
  }
  return at(last, other.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] as number
}
