import { isUint8Array } from 'node:util/types'
import { UnavailableError } from '../../errors.ts'
import type { GuardResponse } from '../handler.ts'

export interface GateKeeper {
  /** Called before every part of the response and before its end (`final`). What it returns is waited for. */
  before(final: boolean): void | Promise<void>
  /** Answers in place of the handler when `before` has rejected and nothing was sent yet. It ends the response at once. */
  refuse(): void
}

/** From so many held bytes on `write` asks its caller to wait, as a stream does. */
const HIGH_WATER = 65_536

type Method = 'write' | 'end' | 'flushHeaders'

/** A call that would send something. */
interface Part {
  readonly method: Method
  readonly args: readonly unknown[]
}

/**
 * Holds a response back until its keeper has agreed, so that no byte leaves before what it must wait for has happened.
 *
 * While the keeper agrees at once everything goes on synchronously, as without a gate. When it returns a promise, parts
 * wait in order; from 64 KiB on `write` returns false, and `drain` follows. When it rejects, held parts are dropped and
 * their callbacks get an `UnavailableError`. Then, if nothing was sent yet, the head is put back to what it was when the
 * gate was made and `refuse` answers, past everything that has wrapped the response since; otherwise the connection is cut.
 * What the handler writes after that is dropped. When the caller goes away while parts wait, they are dropped too.
 *
 * To the handler the response looks as if nothing was held: `headersSent` is true from its first `writeHead`, `write`,
 * `end` or `flushHeaders`, and `writableEnded` from `end`. `finished`, `writableFinished` and the events tell the truth.
 * `writeHead` is taken apart into `statusCode` and `setHeader`, and sends nothing.
 */
export function gateResponse(res: GuardResponse, keeper: GateKeeper): void {
  const { write, end, flushHeaders, writeHead, sendDate } = res
  const inner = { write, end, flushHeaders, writeHead }
  const headersBefore = res.getHeaders()
  const statusBefore = res.statusCode

  const held: Part[] = []
  let heldBytes = 0
  let waiting = false
  let sending = false
  let refused = false
  let headGiven = false
  let endGiven = false
  let drainOwed = false

  function pass(part: Part): unknown {
    // Node's own calls, and those of what was wrapped around the response before us.
    if (sending) return send(part)
    if (refused || (waiting && res.destroyed)) return dismiss(part)
    if (waiting) return hold(part)
    // After the end Node knows best what a call means.
    if (endGiven) return send(part)
    let agreed: void | Promise<void>
    try {
      if (part.method === 'end') endGiven = true
      agreed = keeper.before(part.method === 'end')
    } catch {
      refuse()
      return dismiss(part)
    }
    if (agreed === undefined) return send(part)
    endGiven = false
    waiting = true
    res.once('close', dismissAll)
    agreed.then(goOn, refuse)
    return hold(part)
  }

  function send({ method, args }: Part): unknown {
    const nested = sending
    sending = true
    try {
      return Reflect.apply(inner[method], res, args)
    } finally {
      sending = nested
    }
  }

  function hold(part: Part): unknown {
    const { method, args } = part
    if (endGiven) return afterEnd(part)
    const size = sizeOf(method, args[0])
    headGiven = true
    endGiven = method === 'end'
    showHead()
    held.push(part)
    if (method !== 'write') return valueOf(method, true)
    heldBytes += size
    drainOwed ||= heldBytes >= HIGH_WATER
    return heldBytes < HIGH_WATER
  }

  /** Of the parts that came after an end which is still held, only the callbacks are left. */
  function afterEnd(part: Part): unknown {
    const done = callbackOf(part)
    if (part.method !== 'end') return dismiss(part)
    if (done !== undefined) res.once('finish', done)
    return res
  }

  /** The keeper has agreed to the first of the held parts. */
  function goOn(): void {
    let room = true
    try {
      for (;;) {
        const part = held.shift()
        if (part === undefined) break
        room = send(part) !== false
        const next = held[0]
        const agreed = next === undefined ? undefined : keeper.before(next.method === 'end')
        if (agreed !== undefined) {
          agreed.then(goOn, refuse)
          return
        }
      }
    } catch {
      refuse()
      return
    }
    stopWaiting()
    // Where Node asks to wait it says itself when to go on.
    if (room && !endGiven) drain()
  }

  function stopWaiting(): void {
    waiting = false
    heldBytes = 0
    res.removeListener('close', dismissAll)
  }

  function refuse(): void {
    refused = true
    headGiven = false
    stopWaiting()
    dismissAll()
    if (sent('headersSent')) res.destroy()
    else if (!res.destroyed) answerInstead()
    drain()
  }

  function answerInstead(): void {
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    for (const [name, value] of Object.entries(headersBefore)) {
      if (value !== undefined) res.setHeader(name, value)
    }
    // Removing the header `Date` has switched it off.
    res.sendDate = sendDate
    res.statusCode = statusBefore
    res.statusMessage = ''
    Object.assign(res, inner)
    try {
      keeper.refuse()
    } catch {
      res.destroy()
    }
    // A handler that knows nothing of this goes on writing, and an error for it would have no listener.
    Object.assign(res, outer)
  }

  function dismissAll(): void {
    for (const part of held.splice(0)) dismiss(part)
  }

  function dismiss(part: Part): unknown {
    const done = callbackOf(part)
    if (done !== undefined) process.nextTick(done, new UnavailableError('the response was not sent'))
    return valueOf(part.method, true)
  }

  function valueOf(method: Method, room: boolean): unknown {
    return method === 'write' ? room : method === 'end' ? res : undefined
  }

  /** Lets those go on who were asked to wait. In a tick of its own, where a fault of theirs is not ours. */
  function drain(): void {
    if (!drainOwed) return
    drainOwed = false
    process.nextTick(() => res.emit('drain'))
  }

  function sent(name: 'headersSent' | 'writableEnded'): boolean {
    return Reflect.get(Object.getPrototypeOf(res) as object, name, res) === true
  }

  function showHead(): void {
    if (Object.hasOwn(res, 'headersSent')) return
    Object.defineProperties(res, {
      headersSent: { configurable: true, get: () => sent('headersSent') || (headGiven && !sending) },
      writableEnded: {
        configurable: true,
        get: () => sent('writableEnded') || (endGiven && !refused && !sending),
      },
    })
  }

  function takeHead(...args: unknown[]): GuardResponse {
    if (sending || sent('headersSent')) return Reflect.apply(writeHead, res, args) as GuardResponse
    if (headGiven || refused) return res
    applyHead(res, args)
    headGiven = true
    showHead()
    return res
  }

  const outer = {
    write: (...args: unknown[]) => pass({ method: 'write', args }),
    end: (...args: unknown[]) => pass({ method: 'end', args }),
    flushHeaders: () => pass({ method: 'flushHeaders', args: [] }),
    writeHead: takeHead,
  }
  Object.assign(res, outer)
}

/** What `writeHead` was given, put into the response without sending it. */
function applyHead(res: GuardResponse, [status, ...rest]: readonly unknown[]): void {
  const code = Number(status)
  if (!Number.isInteger(code) || code < 100 || code > 999) {
    throw Object.assign(new RangeError('Invalid status code'), { code: 'ERR_HTTP_INVALID_STATUS_CODE' })
  }
  res.statusCode = code
  if (typeof rest[0] === 'string') res.statusMessage = rest[0]
  const headers: unknown = rest[typeof rest[0] === 'string' ? 1 : 0]
  if (Array.isArray(headers)) {
    // Names may occur more than once in a list, which is flat or a list of pairs.
    const flat = headers.flat(Array.isArray(headers[0]) ? 1 : 0) as string[]
    for (let index = 0; index < flat.length; index += 2) res.removeHeader(flat[index] ?? '')
    for (let index = 0; index < flat.length; index += 2)
      res.appendHeader(flat[index] ?? '', flat[index + 1] ?? '')
    return
  }
  for (const [name, value] of Object.entries((headers ?? {}) as Record<string, string>)) {
    res.setHeader(name, value)
  }
}

/** The size of what is to be held. Node refuses other values when they are written; so do we when they are held. */
function sizeOf(method: Method, chunk: unknown): number {
  if (typeof chunk === 'string' || isUint8Array(chunk)) return chunk.length
  if (
    method === 'write' ||
    (method === 'end' && typeof chunk !== 'function' && (chunk ?? undefined) !== undefined)
  ) {
    throw Object.assign(new TypeError('The chunk must be a string, a Buffer or a Uint8Array'), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
  }
  return 0
}

function callbackOf({ args }: Part): ((error?: Error) => void) | undefined {
  const last = args.at(-1)
  return typeof last === 'function' ? (last as (error?: Error) => void) : undefined
}
