/** Longer than what a line needs of one value. */
const LONGEST = 400
const MOST_FRAMES = 8

/**
 * A text as it may stand in a log or on a terminal: what is not a letter, a digit, a mark of punctuation, a symbol or a
 * space is written as its code point (`\u{1b}`), so that nothing that a caller wrote breaks the line or steers a terminal.
 */
export function printable(text: string, longest = LONGEST): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text
  return cut.replace(
    /[^ \p{L}\p{N}\p{P}\p{S}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}

/** The frames of an error with its message in front, each on a line of its own; nothing where it is no error. */
export function framesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  const { name, message, stack } = error
  const said = `\n    ${printable(`${name}: ${message}`)}`
  if (typeof stack !== 'string') return [said]
  // The message stands in front of the frames, and may look like one.
  const start = stack.indexOf(message)
  const frames = (start === -1 ? stack : stack.slice(start + message.length))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('at '))
    .slice(0, MOST_FRAMES)
  return [said, ...frames.map((frame) => `\n        ${printable(frame)}`)]
}
