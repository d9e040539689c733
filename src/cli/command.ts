/** The exit codes. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  no: 3,
  denied: 4,
  unavailable: 5,
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** The meaning of each exit code, for commands that do not define their own. */
export const MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'done',
  failed: 'failed',
  usage: 'the command line is wrong',
  no: 'the answer is no',
  denied: 'the credentials are missing, or do not allow this',
  unavailable: 'the store or the server cannot be reached; try again',
  interrupted: 'interrupted by Ctrl-C',
}

/** One option of a command. */
export interface OptionRow {
  readonly type: 'string' | 'boolean'
  readonly multiple?: boolean | undefined
  /** The name of the value in the help: `FILE`. */
  readonly value?: string | undefined
  /** The allowed values. */
  readonly choices?: readonly string[] | undefined
  readonly help: string
}

/** The values of the options of a command, as given. */
export type OptionValues = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

/** Which of the standard streams are terminals. */
export interface Terminals {
  readonly input: boolean
  readonly output: boolean
  readonly error: boolean
}

/** The input and output of a command, and its environment. */
export interface Surroundings {
  /** Writes the result. If it returns a promise, await it before writing more. */
  out(text: string): void | Promise<void>
  /** Writes everything else. */
  error(text: string): void
  /** The standard input, which is read by at most one command. */
  input(): AsyncIterable<Uint8Array | string>
  readonly terminals: Terminals
  readonly env: Readonly<Record<string, string | undefined>>
  /** The working directory. */
  readonly directory: string
  /** Aborted when the command is to end. */
  readonly signal: AbortSignal
}

/** The input of a command. */
export interface Invocation extends Surroundings {
  readonly values: OptionValues
  readonly positionals: readonly string[]
  /** The table that contains the command. */
  readonly commands: readonly CommandRow[]
}

export type Run = (invocation: Invocation) => Promise<ExitCode>

/** The body of a request to the admin API. */
export interface CallContent {
  /** The names in its path, if they differ from the arguments of the command. */
  readonly names?: readonly string[] | undefined
  /** Sent as JSON. */
  readonly body: unknown
}

/** The request to the admin API of a console that does the same as a command. */
export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** The path after `api/`, with arguments of the command: `apps/APP/keys`. */
  readonly path: string
  /** Options that become query parameters, with their names there. */
  readonly query?: Readonly<Record<string, string>> | undefined
  /** Whether it names the revision to replace, by `--if-revision`, or creates something `new`. */
  readonly conditional?: 'named' | 'new' | undefined
  /** Further options that its body contains. */
  readonly options?: readonly string[] | undefined
  content?(): Promise<(invocation: Invocation) => Promise<CallContent>>
}

/** One command: a row of the table. */
export interface CommandRow {
  /** Its name, in one or two words: `audit verify`. */
  readonly name: string
  readonly summary: string
  /** More detail than the summary, for the help and the documentation. */
  readonly about?: string | undefined
  /** The arguments after the name: `APP KEY`. `[NAME]` may be left out; `PERSON…` may be repeated. */
  readonly positionals?: string | undefined
  readonly options: Readonly<Record<string, OptionRow>>
  /** The meaning of exit codes for this command, if it is more precise than the general one. */
  readonly exits?: Partial<Readonly<Record<keyof typeof EXIT, string>>> | undefined
  readonly examples?: readonly string[] | undefined
  /** The request that `--curl` prints. Left out if the admin API has no such request. */
  readonly call?: ApiCall | undefined
  /** Loads its module when it is called, so that a command loads only what it needs. */
  load(): Promise<Run>
}

/** How many arguments a command takes after its name. */
export function countOf({ positionals }: CommandRow): readonly [least: number, most: number] {
  const words = positionals?.split(' ') ?? []
  const least = words.filter((word) => !word.startsWith('[')).length
  return [least, words.some((word) => word.endsWith('…')) ? Infinity : words.length]
}

/** The command line is wrong. The message says what is wrong, in a sentence. */
export class CommandUsageError extends Error {
  override readonly name = 'CommandUsageError'
}

/** The credentials are missing, or do not allow this. */
export class CommandDeniedError extends Error {
  override readonly name = 'CommandDeniedError'
}

/** Somebody pressed Ctrl-C. The message says what was done until then, in a sentence. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}

/** The requested object does not exist. The message names it, in a sentence. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError'
}

/** The value of an option that is a string. */
export function textOf(values: OptionValues, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

/** The value of a required option. */
export function requiredText(values: OptionValues, name: string): string {
  const value = textOf(values, name)
  if (value === undefined || value === '') throw new CommandUsageError(`\`--${name}\` is missing`)
  return value
}

/** The values of an option that may be repeated. */
export function textsOf(values: OptionValues, name: string): readonly string[] {
  const value = values[name]
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : []
}

/** The value of an option that is a whole number of at least `least`. */
export function numberOf(values: OptionValues, name: string, least: number): number | undefined {
  const text = textOf(values, name)
  if (text === undefined) return undefined
  const number = /^\d{1,15}$/.test(text) ? Number(text) : NaN
  if (number >= least) return number
  throw new CommandUsageError(`\`--${name}\` must be a whole number of at least ${least}, got \`${text}\``)
}

/** Whether an option without a value is given. */
export function isSet(values: OptionValues, name: string): boolean {
  return values[name] === true
}
