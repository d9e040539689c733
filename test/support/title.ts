/** A text as a test title: shortened, and with everything but printable ASCII escaped. */
export function title(text: string): string {
  const short = text.length > 90 ? `${text.slice(0, 90)}… (${text.length} characters)` : text
  return JSON.stringify(short).replace(
    /[\x7f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
