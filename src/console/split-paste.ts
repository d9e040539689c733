/**
 * The entries in a pasted text: a JSON array, lines, or words separated by commas, semicolons or spaces. Quotes, bullets and
 * comments after `#` are not part of an entry.
 */
export function splitPaste(text: string): string[] {
  const trimmed = text.trim()
  if (trimmed.startsWith('[')) {
    const entries = arrayOf(trimmed)
    if (entries !== undefined) return entries
  }
  return trimmed
    .split(/\r\n|[\r\n]/)
    .flatMap((line) => withoutComment(line).split(/[\s,;]+/))
    .map(unwrapped)
    .filter((piece) => piece !== '' && !/^[-*•]$/.test(piece))
}

const OPENING = '"\'`<('
const CLOSING = '"\'`>'

/** A piece without its quotes and brackets. */
function unwrapped(piece: string): string {
  let [start, end] = [0, piece.length]
  while (start < end && OPENING.includes(piece[start] ?? '')) start += 1
  while (end > start && (CLOSING.includes(piece[end - 1] ?? '') || closesNothing(piece.slice(start, end))))
    end -= 1
  return piece.slice(start, end)
}

/** Whether a text ends with a bracket that it does not open. */
const closesNothing = (text: string): boolean =>
  text.endsWith(')') && text.split(')').length > text.split('(').length

function arrayOf(text: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (!Array.isArray(value)) return undefined
    return value.map((entry: unknown) => (typeof entry === 'string' ? entry : JSON.stringify(entry)))
  } catch {
    return undefined
  }
}

/** A `#` starts a comment only at the start of a line or after a space, because URLs may contain one. */
function withoutComment(line: string): string {
  const mark = line.search(/(?:^|\s)#/)
  return mark === -1 ? line : line.slice(0, mark)
}
