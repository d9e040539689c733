import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { blocksOf, type Block, type Document } from './documents.ts'

/** What one block of a page did. */
export interface Step {
  /** The line of the page at which the block begins. */
  readonly line: number
  /** What was done with it, as a phrase. */
  readonly what: string
  /** What it printed. */
  readonly printed: string
  readonly succeeded: boolean
}

export interface Following {
  /** A project in which the package is installed. */
  readonly folder: string
  /** Carries out a line of a shell block that is not a call by curl. `undefined`: it is not for this folder. */
  shell?(command: string): Promise<string> | undefined
  /** Does something with a block that is neither a shell block nor a program. */
  other?(block: Block): Promise<Omit<Step, 'line'> | undefined>
  /** The port to take in place of one that the page names. */
  port?(named: string): string
}

const START_LIMIT = 30_000

/**
 * Does what a page tells its reader, block by block. A block that begins with the name of a file (`// app.mjs`) is a program: when
 * calls by curl follow, it goes on running until they were made, otherwise it runs to its end.
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

/** A program of the page that goes on running. */
class Server {
  readonly #child: ChildProcess
  #printed = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#printed += chunk.toString()))
    }
  }

  /** Resolves when it takes connections. */
  static async start(folder: string, name: string, port: number): Promise<Server> {
    const server = new Server(spawn(process.execPath, [name], { cwd: folder, env: readersEnv() }))
    for (const end = Date.now() + START_LIMIT; Date.now() < end; await sleep(50)) {
      if (server.#child.exitCode !== null) break
      if (await answers(port)) return server
    }
    await server.stop()
    throw new Error(`${name} does not listen on port ${port}: ${server.#printed}`)
  }

  /** What it has printed since it was last asked. */
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

/** As on the machine of a reader, where refusals are told: test runners set `NODE_ENV`. */
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

/** Runs a program to its end. One that fails is a value and not a rejection. */
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
