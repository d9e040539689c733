import { joinBytes } from './body.ts'
import { createCaller, type OutgoingRequest } from './caller.ts'
import { checkCallerOptions, type CallerOptions } from './options.ts'

/** What is needed of a request of superagent. Its types do not tell of it. */
interface SuperagentRequest {
  request(...args: unknown[]): unknown
}

/** The `ClientRequest` of Node that superagent makes, before it has sent anything. */
interface NodeRequest {
  readonly method: string
  readonly path: string
  readonly protocol: string
  getHeaders(): Readonly<Record<string, unknown>>
  setHeader(name: string, value: string): unknown
  removeHeader(name: string): void
  write(chunk: unknown, ...rest: unknown[]): boolean
  end(...args: unknown[]): unknown
  destroy(error: Error): unknown
}

/**
 * A plugin of superagent, and so of supertest, that signs a request:
 * `request(app).post('/connect').use(superagentSigner(options)).send({ … })`. `request.agent(app).use(…)` signs all of an agent's.
 *
 * It signs the bytes, headers and target as they are sent, just before they are sent, whether they come from `send`, `attach`,
 * `query`, `auth` or cookies. A retry or a redirect is a new request and is signed again. For superagent in Node, over HTTP/1.
 *
 * Throws a `ConfigError` for wrong options; a request that cannot be signed fails with a `TypeError`.
 */
export function superagentSigner(options: CallerOptions): (request: object) => void {
  checkCallerOptions('superagentSigner', options)
  const sign = createCaller(options)

  return (given) => {
    const request = given as SuperagentRequest
    const make = request.request
    if (typeof make !== 'function') throw new TypeError('pass it to `use` of a superagent request, in Node')
    const prepared = new WeakSet<object>()
    request.request = function (...args) {
      const made = make.apply(this, args)
      // What it answers with is not a request when it has failed; superagent tells of that itself.
      if (isNodeRequest(made) && !prepared.has(made)) {
        prepared.add(made)
        signAtTheEnd(made, sign)
      }
      return made
    }
  }
}

/** Holds back what is written until all of it is there, signs it, and sends it. */
function signAtTheEnd(
  request: NodeRequest,
  sign: (request: OutgoingRequest) => Promise<Record<string, string>>,
): void {
  const chunks: Uint8Array[] = []
  const { end } = request

  request.write = (chunk, ...rest) => {
    chunks.push(bytesOf(chunk, rest[0]))
    const done = rest.at(-1)
    if (typeof done === 'function') (done as () => void)()
    return true
  }
  request.end = (...args) => {
    const done = args.find((arg) => typeof arg === 'function')
    if (args[0] !== undefined && args[0] !== null && args[0] !== done) chunks.push(bytesOf(args[0], args[1]))
    const body = joinBytes(chunks)
    signParts(request, body, sign).then(
      () => end.call(request, body, done),
      (error: unknown) => request.destroy(error as Error),
    )
    return request
  }
}

async function signParts(
  request: NodeRequest,
  body: Uint8Array<ArrayBuffer>,
  sign: (request: OutgoingRequest) => Promise<Record<string, string>>,
): Promise<void> {
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.getHeaders())) {
    for (const line of Array.isArray(value) ? (value as unknown[]) : [value])
      headers.append(name, String(line))
  }
  // It was to be sent in chunks, which is another way of saying how long it is.
  headers.delete('transfer-encoding')
  const { method, path, protocol } = request
  const signed = await sign({
    method,
    url: `${protocol}//${headers.get('host')}`,
    target: path,
    headers,
    ...(body.length > 0 && { body }),
  })
  for (const [name, value] of Object.entries(signed)) request.setHeader(name, value)
}

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  if (typeof chunk === 'string' && (typeof encoding !== 'string' || /^utf-?8$/i.test(encoding))) {
    return new TextEncoder().encode(chunk)
  }
  throw new TypeError('the body must be bytes, or a string in UTF-8')
}

function isNodeRequest(made: unknown): made is NodeRequest {
  return typeof made === 'object' && made !== null && 'getHeaders' in made && 'end' in made
}
