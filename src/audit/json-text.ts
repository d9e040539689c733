// DEL and everything outside ASCII; JSON.stringify escapes the characters below space.
const BEYOND_ASCII = /[\x7f-\uffff]/g
const PLAIN = /^[ !#-[\]-~]*$/

/** Whether a text needs no escaping in a JSON string. */
export function isPlain(text: string): boolean {
  return PLAIN.test(text)
}

/** A JSON string of printable ASCII. */
export function quoted(text: string): string {
  return `"${escaped(text)}"`
}

/** The part between the quotes of a JSON string of printable ASCII. */
export function escaped(text: string): string {
  if (PLAIN.test(text)) return text
  return JSON.stringify(text)
    .slice(1, -1)
    .replace(BEYOND_ASCII, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
