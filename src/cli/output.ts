import type { Invocation, Surroundings } from './command.ts'

/** The version of the format of `--json`. When it changes, scripts must be reviewed. */
export const SCHEMA_VERSION = 1

export const isJson = ({ values }: Invocation): boolean => values['json'] === true

/** The result as one line of JSON. */
export const documentOf = (result: object): string =>
  `${JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...result })}\n`

/** Writes the result: lines for people, or one JSON document. */
export async function show(
  invocation: Invocation,
  lines: readonly string[],
  document: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (isJson(invocation)) await invocation.out(documentOf(document))
  else if (lines.length > 0) await invocation.out(`${lines.join('\n')}\n`)
}

/** Writes a message in addition to the result. With `--json` nothing is written. */
export function tell(invocation: Invocation, sentence: string): void {
  if (!isJson(invocation)) invocation.error(`${sentence}\n`)
}

const COLOURS = { red: 31, green: 32, yellow: 33, dim: 2 } as const

export type Colour = keyof typeof COLOURS

/** Colours a text of the result if it goes to a terminal and colours are wanted (no-color.org). */
export function paint({ env, terminals }: Surroundings, colour: Colour, text: string): string {
  const forced = env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '' && env['FORCE_COLOR'] !== '0'
  const refused = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  if (refused || !(forced || terminals.output)) return text
  return `\u001B[${COLOURS[colour]}m${text}\u001B[0m`
}

/** Foreign text, without characters that would control a terminal. */
export function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ')
}

/** Formats rows in columns, each as wide as its widest cell. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** `1 app`, `2 apps`. */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`
}
