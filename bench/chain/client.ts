/** The client side of the benchmark: starts servers and sends requests to them. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { NodeVersion } from './node-versions.ts'
import type { Answers } from './server.ts'
import { ANSWER } from './traffic.ts'
import type { Expected } from './variants.ts'

const CONNECTIONS = 16
/** The number of connections for `sendAtRate`, enough that requests wait for the server and not for a connection. */
const MANY_CONNECTIONS = 128

const BODY = JSON.stringify(ANSWER)
const END_OF_HEAD = '\r\n\r\n'

export interface ServerOptions {
  readonly node: NodeVersion
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** A server in its own process, with connections that stay open. */
export class Subject {
  readonly #child: ChildProcess
  readonly #port: number
  readonly #lines: Line[] = []

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.#port = port
  }

  static async start(name: string, { node, flags = [], env = {} }: ServerOptions): Promise<Subject> {
    const loader = new URL('../typescript.mjs', import.meta.url).href
    const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [name], {
      execPath: node.program,
      execArgv: ['--import', loader, ...flags],
      env: { ...process.env, ...env, NODE_ENV: 'production' },
    })
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the server of \`${name}\` exited before it listened`)
    })
    const [port] = (await Promise.race([once(child, 'message'), ended])) as [number]
    ended.catch(() => undefined)
    return new Subject(child, port)
  }

  async ask<Question extends keyof Answers>(question: Question): Promise<Answers[Question]> {
    this.#child.send(question)
    const [answer] = (await once(this.#child, 'message')) as [Answers[Question]]
    return answer
  }

  /** Sends each request as soon as a connection is free. Resolves with the total time in milliseconds. */
  async send(requests: readonly Buffer[], expected: Expected): Promise<number> {
    await this.#open(CONNECTIONS)
    const begun = performance.now()
    let sent = 0
    let answered = 0
    const all = new Promise<void>((resolve, reject) => {
      const next = (line: Line): void => {
        const request = requests[sent]
        if (request === undefined) return
        sent += 1
        line.ask(request, expected, (fault) => {
          answered += 1
          if (fault !== undefined) reject(fault)
          else if (answered === requests.length) resolve()
          else next(line)
        })
      }
      for (const line of this.#lines.slice(0, CONNECTIONS)) next(line)
    })
    await awake(all)
    return performance.now() - begun
  }

  /**
   * Sends requests at a fixed rate, independent of the answers. Resolves with the times of all requests in
   * milliseconds, including the wait for a connection.
   */
  async sendAtRate(requests: readonly Buffer[], rate: number, expected: Expected): Promise<number[]> {
    await this.#open(MANY_CONNECTIONS)
    const free = [...this.#lines]
    const waiting: (() => void)[] = []
    const times: number[] = []
    let fault: Error | undefined
    const one = async (request: Buffer): Promise<void> => {
      const arrived = performance.now()
      if (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
      const line = free.pop() as Line
      fault ??= await new Promise<Error | undefined>((resolve) => line.ask(request, expected, resolve))
      times.push(performance.now() - arrived)
      free.push(line)
      waiting.shift()?.()
    }
    const begun = performance.now()
    const all: Promise<void>[] = []
    while (all.length < requests.length && fault === undefined) {
      const due = Math.min(requests.length, Math.floor(((performance.now() - begun) / 1000) * rate))
      while (all.length < due) all.push(one(requests[all.length] as Buffer))
      await new Promise(setImmediate)
    }
    await Promise.all(all)
    if (fault !== undefined) throw fault
    return times
  }

  async stop(): Promise<void> {
    for (const line of this.#lines) line.close()
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }

  async #open(count: number): Promise<void> {
    while (this.#lines.length < count) this.#lines.push(await Line.open(this.#port))
  }
}

/**
 * Keeps this process awake. Otherwise a server that is slower than this client would have to wake it for each answer,
 * and the system would count this as CPU time of the server, so only of the slower variant.
 */
async function awake<Value>(work: Promise<Value>): Promise<Value> {
  let over = false
  const spin = (): void => {
    if (!over) setImmediate(spin)
  }
  spin()
  try {
    return await work
  } finally {
    over = true
  }
}

/** One connection, with one request at a time. */
class Line {
  readonly #socket: Socket
  #received = ''
  #expected: Expected = { status: 0 }
  #settle: ((fault: Error | undefined) => void) | undefined

  private constructor(socket: Socket) {
    this.#socket = socket.setNoDelay().setEncoding('latin1')
    socket.on('data', (text: string) => this.#read(text))
    socket.on('error', (error) => this.#end(error))
    socket.on('close', () => this.#end(new Error('the server closed a connection')))
  }

  static async open(port: number): Promise<Line> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Line(socket)
  }

  /** Sends a request. Calls back when the answer has arrived, with an error if it is not the expected one. */
  ask(request: Buffer, expected: Expected, settle: (fault: Error | undefined) => void): void {
    this.#received = ''
    this.#expected = expected
    this.#settle = settle
    this.#socket.write(request)
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(text: string): void {
    this.#received += text
    const headEnd = this.#received.indexOf(END_OF_HEAD)
    if (headEnd === -1) return
    const head = this.#received.slice(0, headEnd)
    const body = this.#received.slice(headEnd + END_OF_HEAD.length)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])
    if (body.length < length) return
    this.#end(faultIn(head, body, this.#expected))
  }

  #end(fault: Error | undefined): void {
    const settle = this.#settle
    this.#settle = undefined
    settle?.(fault)
  }
}

function faultIn(head: string, body: string, { status, text }: Expected): Error | undefined {
  const isRight = text === undefined ? body === BODY : body.includes(text)
  if (isRight && head.startsWith(`HTTP/1.1 ${status} `)) return undefined
  return new Error(
    `expected ${status} with ${text ?? BODY}, got ${head.slice(0, head.indexOf('\r'))}: ${body}`,
  )
}
