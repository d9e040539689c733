/** What a command ended as. */
export const EXIT = { ok: 0, failed: 1, usage: 2, no: 3, unavailable: 5 } as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** One option of a command. */
export interface OptionRow {
  readonly type: 'string' | 'boolean'
  readonly multiple?: boolean | undefined
  /** What stands for the value in the help: `FILE`. */
  readonly value?: string | undefined
  readonly help: string
}

/** The values of the options of a command, as they were written. */
export type OptionValues = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

/** Where a command writes, and what it knows of its surroundings. */
export interface Surroundings {
  out(text: string): void
  error(text: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted when the command shall end. */
  readonly signal: AbortSignal
}

/** What a command is given. */
export interface Invocation extends Surroundings {
  readonly values: OptionValues
  readonly positionals: readonly string[]
}

/** One command: a row of the table. */
export interface CommandRow {
  /** Its name, in one or two words: `audit verify`. */
  readonly name: string
  readonly summary: string
  /** What stands behind the name: `PERSON…`. */
  readonly positionals?: string | undefined
  /** How many of them are taken. Default: zero. */
  readonly count?: readonly [least: number, most: number] | undefined
  readonly options: Readonly<Record<string, OptionRow>>
  run(invocation: Invocation): Promise<ExitCode>
}

/** The command was written wrongly: what is wrong, in a sentence. */
export class CommandUsageError extends Error {
  override readonly name = 'CommandUsageError'
}

/** The value of an option that is a string. */
export function textOf(values: OptionValues, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

/** The value of an option that must be given. */
export function requiredText(values: OptionValues, name: string): string {
  const value = textOf(values, name)
  if (value === undefined || value === '') throw new CommandUsageError(`\`--${name}\` is missing`)
  return value
}

/** The values of an option that may be given several times. */
export function textsOf(values: OptionValues, name: string): readonly string[] {
  const value = values[name]
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : []
}
