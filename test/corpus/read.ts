import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The lines of a corpus file of this folder: one JSON object a line, `#` begins a comment line that explains the members. */
export function readCorpus<Line>(name: string): Line[] {
  const text = readFileSync(join(__dirname, name), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => JSON.parse(line) as Line)
}

/** A text as a test title: shortened, and with everything but printable ASCII escaped. */
export function title(text: string): string {
  const short = text.length > 90 ? `${text.slice(0, 90)}… (${text.length} characters)` : text
  return JSON.stringify(short).replace(
    /[\x7f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
