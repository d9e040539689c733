import { execFile } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** The package's own folder: jest and the npm scripts all run there. */
export const repository: string = process.cwd()

/** The folder for test programs that are not installed on the system. `npm ci` deletes it. */
export const cache: string = join(repository, 'node_modules', '.cache', 'portcullis')

export const isRoot: boolean = process.getuid?.() === 0

export interface Ran {
  readonly succeeded: boolean
  /** Both output streams, for error messages. */
  readonly output: string
}

/** Runs a program to its end. Resolves even if the program fails or is missing. */
export async function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; timeout?: number } = {},
): Promise<Ran> {
  try {
    const { stdout, stderr } = await execute(program, args, { maxBuffer: 64 << 20, ...options })
    return { succeeded: true, output: `${stdout}${stderr}`.trim() }
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string }
    return { succeeded: false, output: `${stdout}${stderr}`.trim() || message }
  }
}

/** The full paths of the existing programs with these names, on the PATH first, then in further folders. */
export function findPrograms(
  names: readonly string[],
  furtherFolders: readonly string[] = [],
  { onPath = true }: { onPath?: boolean } = {},
): readonly string[] {
  const path = onPath ? (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '') : []
  const folders = [...path, ...furtherFolders]
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).filter(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Prints what is being done, because it takes a while. */
export function announce(what: string): void {
  process.stderr.write(`[tests] ${what}\n`)
}
