/** More than a line needs of one value. */
const LONGEST = 400
const MOST_FRAMES = 8
const MOST_CAUSES = 4

/**
 * Makes a text safe for a log or a terminal: every character that is not a letter, a digit, punctuation, a symbol or a space
 * becomes its code point (`\u{1b}`). Text from a caller can then neither break the line nor control a terminal.
 */
export function printable(text: string, longest = LONGEST): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text
  return cut.replace(
    /[^ \p{L}\p{N}\p{P}\p{S}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}

/** An error and its causes, the outermost first, at most `MOST_CAUSES`. */
function causesOf(error: unknown): Error[] {
  const causes: Error[] = []
  let cause = error
  while (cause instanceof Error && causes.length < MOST_CAUSES) {
    causes.push(cause)
    cause = cause.cause
  }
  return causes
}

/** The message of the innermost cause of an error; `undefined` if the value is not an error. */
export function rootMessage(error: unknown): string | undefined {
  const root = causesOf(error).at(-1)
  return root && printable(root.message)
}

/** An error and its causes, with the frames of the innermost one, each on its own line; empty if the value is not an error. */
export function framesOf(error: unknown): string[] {
  const causes = causesOf(error)
  const said = causes.map(({ name, message }) => `\n    ${printable(`${name}: ${message}`)}`)
  const { message = '', stack = '' } = causes.at(-1) ?? {}
  // The message precedes the frames, and may look like one.
  const start = stack.indexOf(message)
  const frames = (start === -1 ? stack : stack.slice(start + message.length))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('at '))
    .slice(0, MOST_FRAMES)
  return [...said, ...frames.map((frame) => `\n        ${printable(frame)}`)]
}
