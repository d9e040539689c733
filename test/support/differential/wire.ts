import { connect, type Socket } from 'node:net'

/** The answer to a request, as received on the wire. */
export interface WireAnswer {
  /** 0 if the connection ended before the head of an answer. */
  readonly status: number
  /** Pairs in lower case, sorted by name. Lines with the same name keep their order. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  /** Whether the complete answer arrived. */
  readonly whole: boolean
}

const PATIENCE = 20_000

interface Waiting {
  readonly method: string
  readonly done: (answer: WireAnswer) => void
}

/** A persistent connection, which sends the bytes of a request unchanged and receives one answer. */
export class WireConnection {
  readonly #port: number
  readonly #from: string
  #socket: Socket | undefined
  #received: Buffer = Buffer.alloc(0)
  #waiting: Waiting | undefined

  /** @param from the local address, in the loopback range */
  constructor(port: number, from: string) {
    this.#port = port
    this.#from = from
  }

  send(method: string, bytes: Buffer): Promise<WireAnswer> {
    const socket = (this.#socket ??= this.#open())
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = undefined
        reject(new Error(`no answer within ${PATIENCE} ms to:\n${bytes.toString('latin1')}`))
      }, PATIENCE)
      this.#waiting = {
        method,
        done: (answer) => {
          clearTimeout(timer)
          this.#waiting = undefined
          resolve(answer)
        },
      }
      socket.write(bytes)
    })
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  #open(): Socket {
    const host = this.#from.includes(':') ? '::1' : '127.0.0.1'
    const socket = connect({ port: this.#port, host, localAddress: this.#from, noDelay: true })
    this.#received = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      this.#read(false)
    })
    // Data from a connection that is cut off is read when it closes.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      this.#read(true)
    })
    return socket
  }

  #read(ended: boolean): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    const parsed = parseAnswer(this.#received, waiting.method, ended)
    if (parsed === undefined) return
    this.#received = this.#received.subarray(parsed.length)
    const { answer } = parsed
    // The server closes this connection, so the next request needs another one.
    if (answer.headers.some(([name, value]) => name === 'connection' && value === 'close')) this.close()
    waiting.done(answer)
  }
}

const NOTHING: WireAnswer = { status: 0, headers: [], body: '', whole: false }

/** Parses one answer at the beginning of these bytes; `undefined` if it is incomplete. */
function parseAnswer(
  bytes: Buffer,
  method: string,
  ended: boolean,
): { readonly answer: WireAnswer; readonly length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return ended ? { answer: NOTHING, length: bytes.length } : undefined
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const status = Number(first.split(' ', 2)[1])
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  headers.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
  const valueOf = (name: string): string | undefined => headers.find(([known]) => known === name)?.[1]
  const start = end + 4
  const content = (body: Buffer, length: number, whole = true) => ({
    answer: { status, headers, body: body.toString('latin1'), whole },
    length: start + length,
  })
  const rest = bytes.subarray(start)
  if (method === 'HEAD' || status === 204 || status === 304) return content(Buffer.alloc(0), 0)
  if (valueOf('transfer-encoding') === 'chunked') {
    const read = readChunks(rest)
    if (read !== undefined) return content(read.body, read.length)
    return ended ? content(rest, rest.length, false) : undefined
  }
  const length = valueOf('content-length')
  if (length === undefined) return ended ? content(rest, rest.length) : undefined
  if (rest.length >= Number(length)) return content(rest.subarray(0, Number(length)), Number(length))
  return ended ? content(rest, rest.length, false) : undefined
}

function readChunks(bytes: Buffer): { readonly body: Buffer; readonly length: number } | undefined {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const line = bytes.indexOf('\r\n', at)
    if (line === -1) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16)
    const next = line + 2 + size + 2
    if (bytes.length < next) return undefined
    if (size === 0) return { body: Buffer.concat(parts), length: next }
    parts.push(bytes.subarray(line + 2, line + 2 + size))
    at = next
  }
}
