import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { sayJsonFault } from '../json-fault.ts'
import { CommandUsageError, isSet, type Invocation } from './command.ts'
import { isJson } from './output.ts'

/** Reads the whole standard input. */
export async function readInput({ input, terminals }: Invocation): Promise<string> {
  if (terminals.input)
    throw new CommandUsageError('`-` reads standard input, which is a terminal here: pipe the content in')
  const parts: Buffer[] = []
  for await (const part of input())
    parts.push(typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))
  return Buffer.concat(parts).toString()
}

/** The text of a file, or of standard input for `-`. */
export async function readSource(invocation: Invocation, path: string): Promise<string> {
  if (path === '-') return readInput(invocation)
  try {
    return await readFile(resolve(invocation.directory, path), 'utf8')
  } catch (error) {
    throw unreadableFile(path, error)
  }
}

/** Why a given file cannot be read. The message contains no path other than the given one. */
export function unreadableFile(path: string, error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return new CommandUsageError(`there is no file \`${path}\``)
  if (code === 'EISDIR') return new CommandUsageError(`\`${path}\` is a directory`)
  return new Error(`\`${path}\` cannot be read: ${code ?? 'unknown reason'}`)
}

/** A JSON document from a file or from standard input. */
export async function readJson(invocation: Invocation, path: string): Promise<unknown> {
  const text = (await readSource(invocation, path)).replace(/^\uFEFF/, '')
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new CommandUsageError(`\`${path}\` is not JSON: ${sayJsonFault(text)}`)
  }
}

/** A secret from an environment variable or a file, `-` for standard input; never from an argument. */
export async function readSecret(
  invocation: Invocation,
  file: string | undefined,
  variable: string,
): Promise<string | undefined> {
  const text = file === undefined ? invocation.env[variable] : await readSource(invocation, file)
  const secret = text?.trim()
  return secret === '' ? undefined : secret
}

/** Asks before something that cannot be undone. Without a terminal, it is a usage error that names the option to give. */
export async function confirm(invocation: Invocation, question: string, expected = 'yes'): Promise<boolean> {
  if (isSet(invocation.values, 'yes')) return true
  const { terminals, env } = invocation
  if (isJson(invocation) || !terminals.input || !terminals.error || (env['CI'] ?? '') !== '')
    throw new CommandUsageError(
      '`--yes` is missing: the command needs confirmation, and cannot ask for it here',
    )
  invocation.error(`${question} Type \`${expected}\` to continue: `)
  let answer = ''
  for await (const part of invocation.input()) {
    answer += typeof part === 'string' ? part : Buffer.from(part).toString()
    if (answer.includes('\n')) break
  }
  if (answer.trim() === expected) return true
  invocation.error('nothing was changed\n')
  return false
}
