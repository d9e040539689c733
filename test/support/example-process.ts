import { spawn, type ChildProcess } from 'node:child_process'
import type { Mail } from '../../example-server/mail.ts'
import { bundled } from './compiled.ts'
import { repository } from './commands.ts'

/** The example server in its own process. */
export interface ExampleProcess {
  /** The URL on which it listens. */
  readonly url: string
  /** The emails that it has printed, oldest first. */
  readonly mails: Mail[]
  /** Its output so far. */
  readonly said: { stdout: string; stderr: string }
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>
  signal(name: NodeJS.Signals): void
}

/**
 * Starts the server, on a free port unless `PORT` is given, and resolves when it is ready. Rejects with the output if
 * the server exits before that. `asNpmStart` runs the command of `npm start`, which compiles at each start.
 */
export async function startExampleProcess(
  environment: Record<string, string> = {},
  options: { asNpmStart?: boolean; ready?: RegExp } = {},
): Promise<ExampleProcess> {
  const { child, said, ended } = spawnExample(environment, options)
  const ready = new Promise<string>((settle) => {
    child.stdout?.on('data', () => {
      if ((options.ready ?? /\n5\. [^]*\/why\n/).test(said.stdout)) settle('ready')
    })
  })
  const first = await Promise.race([ready, ended])
  if (first !== 'ready') {
    throw new Error(`the example server ended with ${first} while it started: ${said.stderr}${said.stdout}`)
  }
  return {
    url: /gateway: (http\S+)/.exec(said.stdout)?.[1] ?? '',
    said,
    ended,
    get mails() {
      const found = said.stdout.matchAll(/^Mail to (\S+): (.*)\n((?: {2}\| .*\n)+)/gm)
      return [...found].map(([, to = '', subject = '', text = '']) => ({
        to,
        subject,
        text: text.replaceAll(/^ {2}\| /gm, ''),
      }))
    },
    signal: (name) => void child.kill(name),
  }
}

/** Starts a server that must fail, and resolves with its output and exit code. */
export async function failToStart(
  environment: Record<string, string>,
): Promise<{ said: ExampleProcess['said']; code: number | null }> {
  const { said, ended } = spawnExample(environment, {})
  return { said, code: await ended }
}

/** For `afterAll`. The server may be missing if `beforeAll` has failed. */
export async function killExampleProcess(server: ExampleProcess | undefined): Promise<void> {
  server?.signal('SIGKILL')
  await server?.ended
}

function spawnExample(
  environment: Record<string, string>,
  { asNpmStart = false }: { asNpmStart?: boolean },
): { child: ChildProcess } & Pick<ExampleProcess, 'said' | 'ended'> {
  const { PATH = '', HOME = '' } = process.env
  const program = asNpmStart
    ? ['--import', 'tsx', 'example-server/main.ts']
    : [bundled('example-server/main.ts')]
  const child = spawn(process.execPath, program, {
    cwd: repository,
    env: { PATH, HOME, PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()))
  return { child, said, ended: new Promise((settle) => child.once('close', settle)) }
}

/** The secret of the demo server app, as printed at the start. */
export function printedSecret({ said }: ExampleProcess): string | undefined {
  return /secret ([A-Za-z0-9+/=]{44})/.exec(said.stdout)?.[1]
}

/** The printed commands, in order. */
export function printedCommands({ said }: ExampleProcess): string[] {
  return [...said.stdout.matchAll(/^ {3}((?:DEMO_SECRET|curl).*)$/gm)].map(([, command]) => command as string)
}
