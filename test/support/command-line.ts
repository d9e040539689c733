import { spawn } from 'node:child_process'
import { runCommand } from '../../src/cli/run.ts'
import type { Terminals } from '../../src/cli/command.ts'
import { bundled } from './compiled.ts'

/** The output and the exit code of a command. */
export interface Ended {
  readonly code: number
  readonly out: string
  readonly error: string
}

export interface Surrounding {
  readonly env?: Readonly<Record<string, string>>
  /** Standard input. */
  readonly input?: string | undefined
  readonly terminals?: Partial<Terminals>
  readonly directory?: string | undefined
  readonly signal?: AbortSignal
}

/** The words of a line. Text in double quotes is one word. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')
}

/** Runs a command within this process. */
export async function portcullis(
  line: string | readonly string[],
  { env = {}, input, terminals = {}, directory = process.cwd(), signal }: Surrounding = {},
): Promise<Ended> {
  let [out, error] = ['', '']
  const code = await runCommand(typeof line === 'string' ? wordsOf(line) : line, {
    out: (text) => void (out += text),
    error: (text) => void (error += text),
    input: async function* () {
      if (input !== undefined) yield input
    },
    terminals: { input: false, output: false, error: false, ...terminals },
    env,
    directory,
    signal: signal ?? new AbortController().signal,
  })
  return { code, out, error }
}

/** The path of the program, in one file. */
export const program = (): string => bundled('src/cli/main.ts')

export interface Running {
  readonly ended: Promise<Ended>
  readonly pid: number
  /** Resolves when standard error contains this text. */
  said(text: string): Promise<void>
  /** The standard output so far. */
  written(): string
  kill(signal: NodeJS.Signals): void
}

/** Starts a command in its own process, with pipes for its streams. */
export function start(args: readonly string[], { env = {}, input, directory }: Surrounding = {}): Running {
  const child = spawn(process.execPath, [program(), ...args], {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let [out, error] = ['', '']
  const waiting: { text: string; found(): void }[] = []
  const look = (): void => {
    for (const { text, found } of waiting) if (error.includes(text)) found()
  }
  child.stdout.on('data', (part: Buffer) => void (out += part.toString()))
  child.stderr.on('data', (part: Buffer) => {
    error += part.toString()
    look()
  })
  // A command that does not read its input may exit before it is written.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input ?? '')
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code: code ?? (signal === null ? -1 : 128), out, error }))
  })
  return {
    ended,
    pid: child.pid ?? 0,
    said: (text) =>
      Promise.race([
        new Promise<void>((found) => {
          waiting.push({ text, found })
          look()
        }),
        ended.then(({ code }) => {
          if (!error.includes(text)) throw new Error(`ended with ${code} and did not say ${text}: ${error}`)
        }),
      ]),
    written: () => out,
    kill: (signal) => void child.kill(signal),
  }
}
