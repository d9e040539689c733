import { spawn, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'

/** The folder of the package. */
export const FOLDER: string = resolve(__dirname, '../..')

/** The example server in a process of its own, as `npm start` runs it. */
export interface ExampleProcess {
  /** Where it listens; empty when it did not come so far. */
  readonly url: string
  /** What it has said. */
  readonly said: { stdout: string; stderr: string }
  /** The exit code, once it has ended. */
  readonly ended: Promise<number | null>
  signal(name: NodeJS.Signals): void
}

/** Starts it, on a free port if `PORT` is not given, and answers when it is ready or has ended. */
export async function startExampleProcess(environment: Record<string, string> = {}): Promise<ExampleProcess> {
  const { PATH = '', HOME = '' } = process.env
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', 'example-server/main.ts'], {
    cwd: FOLDER,
    env: { PATH, HOME, PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  const ended = new Promise<number | null>((settle) => child.once('close', settle))
  const ready = new Promise<void>((settle) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      said.stdout += chunk.toString()
      if (said.stdout.includes('\n4. ')) settle()
    })
  })
  child.stderr?.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()))
  await Promise.race([ready, ended])
  return {
    url: /gateway: (http\S+)/.exec(said.stdout)?.[1] ?? '',
    said,
    ended,
    signal: (name) => void child.kill(name),
  }
}

/** The secret of the demo server app, from what was printed at the start. */
export function printedSecret({ said }: ExampleProcess): string | undefined {
  return /secret ([A-Za-z0-9+/=]{44})/.exec(said.stdout)?.[1]
}

/** The commands that were printed to be pasted, in order. */
export function printedCommands({ said }: ExampleProcess): string[] {
  return [...said.stdout.matchAll(/^ {3}((?:DEMO_SECRET|curl).*)$/gm)].map(([, command]) => command as string)
}
