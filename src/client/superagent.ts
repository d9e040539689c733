import { joinBytes } from './body.ts'
import { createCaller, type OutgoingRequest } from './caller.ts'
import { checkCallerOptions, type CallerOptions } from './options.ts'

/** The part of a superagent request that is needed here. The types of superagent do not declare it. */
interface SuperagentRequest {
  request(...args: unknown[]): unknown
}

/** The Node `ClientRequest` that superagent creates, before it has sent anything. */
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
 * `request(app).post('/connect').use(superagentSigner(options)).send({ … })`. `request.agent(app).use(…)` signs all requests
 * of an agent.
 *
 * It signs the bytes, headers and target exactly as they are sent, and just before they are sent, whether they come from
 * `send`, `attach`, `query`, `auth` or cookies. A retry or a redirect is a new request and is signed again. For superagent in
 * Node, over HTTP/1.
 *
 * Throws a `ConfigError` for invalid options. A request that cannot be signed fails with a `TypeError`.
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
      // If superagent has failed, the result is not a request. superagent reports that failure itself.
      if (isNodeRequest(made) && !prepared.has(made)) {
        prepared.add(made)
        signAtTheEnd(made, sign)
      }
      return made
    }
  }
}

/** Buffers what is written until the request is complete, then signs and sends it. */
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
  // No longer sent in chunks, because the length is now known.
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
