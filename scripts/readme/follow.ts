import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { blocksOf, type Block, type Document } from './documents.ts'

/** The result of one block or command of a page. */
export interface Step {
  /** The line of the page at which the block begins. */
  readonly line: number
  /** What was done, as a phrase. */
  readonly what: string
  /** The output. */
  readonly printed: string
  readonly succeeded: boolean
}

export interface Following {
  /** A project in which the package is installed. */
  readonly folder: string
  /** Runs a line of a shell block, except curl commands. Returns `undefined` if the line is not for this folder. */
  shell?(command: string): Promise<string> | undefined
  /** Tries a block that is neither a shell block nor a program. */
  other?(block: Block): Promise<Omit<Step, 'line'> | undefined>
  /** The port to use instead of the one that the page names. */
  port?(named: string): string
}

const START_LIMIT = 30_000

/**
 * Follows a page block by block. A block that begins with the name of a file (`// app.mjs`) is a program. If curl
 * commands follow, the program keeps running until they are done; otherwise it runs to its end.
 */
export async function* follow(page: Document, following: Following): AsyncGenerator<Step> {
  const { folder, shell, other, port = (named) => named } = following
  const blocks = blocksOf(page)
  let server: Server | undefined
  try {
    for (const [index, block] of blocks.entries()) {
      const { line, language } = block
      const code = block.code.replace(/(?<=listen\(|127\.0\.0\.1:)\d{4}\b/g, port)
      const name = /^\/\/ ([\w-]+\.mjs)\n/.exec(code)?.[1]
      if (name !== undefined) {
        await writeFile(join(folder, name), code)
        if (isCalled(blocks[index + 1])) {
          server = await Server.start(folder, name, Number(/listen\((\d+)/.exec(code)?.[1]))
          yield { line, what: `\`node ${name}\` listens`, printed: '', succeeded: true }
        } else {
          const { printed, succeeded } = await run('node', [name], folder)
          yield { line, what: `\`node ${name}\``, printed, succeeded }
        }
        continue
      }
      if (language !== 'sh') {
        const step = await other?.(block)
        if (step !== undefined) yield { line, ...step }
        continue
      }
      for (const command of code.trim().split('\n')) {
        if (!command.startsWith('curl ')) {
          const printed = await shell?.(command)
          const what = printed === undefined ? `\`${command}\` is for another folder` : `\`${command}\``
          yield { line, what, printed: printed ?? '', succeeded: true }
          continue
        }
        const { printed, succeeded } = await run(
          'sh',
          ['-c', command.replace('curl -i', 'curl -s -i')],
          folder,
        )
        const said = await server?.said()
        yield { line, what: `\`${command}\``, printed: `${printed}\nthe server: ${said ?? ''}`, succeeded }
      }
      await server?.stop()
      server = undefined
    }
  } finally {
    await server?.stop()
  }
}

function isCalled(next: Block | undefined): boolean {
  return next?.language === 'sh' && /^curl /m.test(next.code)
}

/** A program of the page that keeps running. */
class Server {
  readonly #child: ChildProcess
  #printed = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#printed += chunk.toString()))
    }
  }

  /** Resolves when it accepts connections. */
  static async start(folder: string, name: string, port: number): Promise<Server> {
    const server = new Server(spawn(process.execPath, [name], { cwd: folder, env: readersEnv() }))
    for (const end = Date.now() + START_LIMIT; Date.now() < end; await sleep(50)) {
      if (server.#child.exitCode !== null) break
      if (await answers(port)) return server
    }
    await server.stop()
    throw new Error(`${name} does not listen on port ${port}: ${server.#printed}`)
  }

  /** The output since the last call. */
  async said(): Promise<string> {
    for (let tries = 0; this.#printed === '' && tries < 100; tries += 1) await sleep(20)
    const printed = this.#printed.trim()
    this.#printed = ''
    return printed
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }
}

/** The environment of a reader. Without `NODE_ENV`, which test runners set, refusals are printed. */
function readersEnv(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_ENV: undefined }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Runs a program to its end. Resolves even if the program fails. */
export function run(
  program: string,
  args: readonly string[],
  cwd: string,
): Promise<{ readonly printed: string; readonly succeeded: boolean }> {
  const path = program === 'node' ? process.execPath : program
  return new Promise((resolve) => {
    execFile(path, args, { cwd, env: readersEnv(), maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      const printed = `${stdout}${stderr}`.replaceAll('\r', '').trim()
      resolve({ printed, succeeded: error === null })
    })
  })
}
