/** What a command ended as. */
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

/** What each exit code means where a command does not say it more exactly. */
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
  /** What stands for the value in the help: `FILE`. */
  readonly value?: string | undefined
  /** The values that it can have. */
  readonly choices?: readonly string[] | undefined
  readonly help: string
}

/** The values of the options of a command, as they were written. */
export type OptionValues = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

/** Which of the standard streams a person looks at. */
export interface Terminals {
  readonly input: boolean
  readonly output: boolean
  readonly error: boolean
}

/** Where a command reads and writes, and what it knows of its surroundings. */
export interface Surroundings {
  /** The result. A promise tells when to go on. */
  out(text: string): void | Promise<void>
  /** Everything else. */
  error(text: string): void
  /** The standard input, which is read by one command at most. */
  input(): AsyncIterable<Uint8Array | string>
  readonly terminals: Terminals
  readonly env: Readonly<Record<string, string | undefined>>
  /** The working directory. */
  readonly directory: string
  /** Aborted when the command shall end. */
  readonly signal: AbortSignal
}

/** What a command is given. */
export interface Invocation extends Surroundings {
  readonly values: OptionValues
  readonly positionals: readonly string[]
  /** The table in which the command stands. */
  readonly commands: readonly CommandRow[]
}

export type Run = (invocation: Invocation) => Promise<ExitCode>

/** What a request to the admin API carries. */
export interface CallContent {
  /** The names in its path, where they are not the arguments of the command. */
  readonly names?: readonly string[] | undefined
  /** Sent as JSON. */
  readonly body: unknown
}

/** The request to the admin API of a console that does what a command does. */
export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below `api/`, with arguments of the command: `apps/APP/keys`. */
  readonly path: string
  /** Options that become parameters of the query, with their names there. */
  readonly query?: Readonly<Record<string, string>> | undefined
  /** Whether it names the revision that it replaces, by `--if-revision`, or makes something `new`. */
  readonly conditional?: 'named' | 'new' | undefined
  /** Further options that its content has. */
  readonly options?: readonly string[] | undefined
  content?(): Promise<(invocation: Invocation) => Promise<CallContent>>
}

/** One command: a row of the table. */
export interface CommandRow {
  /** Its name, in one or two words: `audit verify`. */
  readonly name: string
  readonly summary: string
  /** More than the summary says, for its help and its page. */
  readonly about?: string | undefined
  /** What stands behind the name: `APP KEY`; `[NAME]` may be left out, and `PERSON…` may be repeated. */
  readonly positionals?: string | undefined
  readonly options: Readonly<Record<string, OptionRow>>
  /** What the exit codes mean here, where that is more exact than in general. */
  readonly exits?: Partial<Readonly<Record<keyof typeof EXIT, string>>> | undefined
  readonly examples?: readonly string[] | undefined
  /** What `--curl` prints. Left out where the admin API has no such request. */
  readonly call?: ApiCall | undefined
  /** Its module is read when it is called, so that a command costs what it needs and no more. */
  load(): Promise<Run>
}

/** How many arguments a command takes behind its name. */
export function countOf({ positionals }: CommandRow): readonly [least: number, most: number] {
  const words = positionals?.split(' ') ?? []
  const least = words.filter((word) => !word.startsWith('[')).length
  return [least, words.some((word) => word.endsWith('…')) ? Infinity : words.length]
}

/** The command was written wrongly: what is wrong, in a sentence. */
export class CommandUsageError extends Error {
  override readonly name = 'CommandUsageError'
}

/** The credentials are missing, or have no right to do this. */
export class CommandDeniedError extends Error {
  override readonly name = 'CommandDeniedError'
}

/** Somebody has pressed Ctrl-C: what was done until then, in a sentence. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}

/** What was asked for is not there: which, in a sentence. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError'
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
