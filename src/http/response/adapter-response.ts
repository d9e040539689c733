import { ServerResponse } from 'node:http'
import { Writable } from 'node:stream'
import type { GuardResponse } from '../handler.ts'
import { notSent, requestOf, type Gated, type Holder } from './holder.ts'

type Method = (...given: unknown[]) => unknown

/** Methods that render the head, or send. */
const SENDING = ['writeHead', 'flushHeaders', 'write', 'end', 'addTrailers'] as const
/** Methods that change a head that is not sent yet. */
const HEADING = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader'] as const

type Sending = (typeof SENDING)[number]

interface Call {
  readonly name: Sending
  readonly given: readonly unknown[]
}

const heldKey = Symbol('portcullis.response')

/**
 * One response without a connection, as adapters create them: written data is collected, and passed on at the end. Its calls are
 * held. Each call is first made on a bare response that nobody receives. A call that throws there throws here, and a call that is
 * ignored there is ignored here; all others are repeated when the gate agrees.
 *
 * The methods are on the response itself and not on a prototype: Express replaces the prototype, and some adapters give each
 * response methods of its own.
 */
export class HeldResponse implements Holder {
  readonly #res: GuardResponse
  readonly #own = new Map<string, Method>()
  readonly #calls: Call[] = []
  readonly #errors: unknown[] = []
  #gate: Gated | undefined
  /** The bare response; `undefined` until the first call that renders the head or sends. */
  #bare: ServerResponse | undefined
  /** Greater than zero while a method of the response itself runs. */
  #inside = 0
  #waiting = false
  #refused = false
  #destroyAsked = false
  #ended = false

  constructor(res: GuardResponse) {
    this.#res = res
    for (const name of SENDING) this.#take(name, (given) => this.#send(name, given))
    for (const name of HEADING) {
      this.#take(name, (given) =>
        this.#bare === undefined ? this.#run(name, given) : this.#returned(callOf(this.#bare, name, given)),
      )
    }
    // Adapters cannot send early hints.
    this.#take('writeEarlyHints', ([, callback]) => {
      if (typeof callback === 'function') (callback as Method)()
    })
    this.#take('destroy', (given) => this.#destroy(given))
  }

  add(gate: Gated): void {
    this.#gate ??= gate
  }

  remove(gate: Gated): void {
    if (this.#gate === gate) this.#gate = undefined
  }

  wholeAnswerLeft(): boolean {
    return this.#ended
  }

  /** Wraps a method of the response, if it has one. */
  #take(name: string, call: (given: readonly unknown[]) => unknown): void {
    const before = methodOf(this.#res, name)
    if (typeof before !== 'function') return
    if (Object.hasOwn(this.#res, name)) this.#own.set(name, before as Method)
    const value: Method = (...given) => (this.#inside > 0 ? this.#run(name, given) : call(given))
    Object.defineProperty(this.#res, name, { value, writable: true, configurable: true })
  }

  /** Calls the method of the response itself. */
  #run(name: string, given: readonly unknown[]): unknown {
    const method = this.#own.get(name) ?? methodOf(Object.getPrototypeOf(this.#res) as object, name)
    this.#inside += 1
    try {
      return Reflect.apply(method as Method, this.#res, given)
    } finally {
      this.#inside -= 1
    }
  }

  #send(name: Sending, given: readonly unknown[]): unknown {
    // Trailers are legal before the head, and do not cause one.
    if (this.#bare === undefined && name === 'addTrailers') return this.#run(name, given)
    const bare = this.#bare ?? bareOf(this.#res, (error) => this.#fail(error))
    const late = bare.writableEnded
    const callback = late ? -1 : given.findIndex((each) => typeof each === 'function')
    // The callback belongs to the repeated call.
    const returned = callOf(bare, name, callback === -1 ? given : given.slice(0, callback))
    if (this.#bare === undefined) {
      this.#bare = bare
      this.#pin(bare)
    }
    if (late || this.#refused) return this.#returned(returned)
    const call: Call = { name, given }
    if (this.#calls.length === 0) {
      const agreed = this.#gate?.ask(bare.statusCode)
      if (agreed === undefined) return this.#make(call)
      this.#wait(agreed)
    }
    this.#calls.push(call)
    this.#show()
    // Held data is limited only by the time that the keepers may take.
    return name === 'write' ? true : this.#returned(returned)
  }

  #returned(value: unknown): unknown {
    return value === this.#bare ? this.#res : value
  }

  #make({ name, given }: Call): unknown {
    if (name !== 'end') return this.#run(name, given)
    // Adapters finish during this call.
    this.#ended = true
    process.nextTick(() => this.#gate?.over())
    return this.#run(name, given)
  }

  #wait(agreed: Promise<void>): void {
    this.#waiting = true
    agreed.then(
      () => this.#release(),
      () => this.#refuse(),
    )
  }

  #release(): void {
    this.#waiting = false
    this.#hide()
    while (!this.#waiting) {
      const call = this.#calls.shift()
      if (call === undefined) break
      try {
        this.#make(call)
      } catch (error) {
        this.#cut(error)
        return
      }
      const agreed = this.#calls.length === 0 ? undefined : this.#gate?.ask(this.#bare?.statusCode)
      if (agreed !== undefined) this.#wait(agreed)
    }
    if (this.#waiting) {
      this.#show()
      return
    }
    for (const error of this.#errors.splice(0)) this.#fail(error)
    if (this.#destroyAsked) this.#run('destroy', [])
  }

  #refuse(): void {
    this.#waiting = false
    this.#hide()
    const dropped = this.#calls.splice(0)
    const refusal = this.#gate?.refuse(false)
    if (refusal === undefined) {
      this.#cut(notSent())
    } else {
      this.#refused = true
      for (const name of this.#res.getHeaderNames()) this.#run('removeHeader', [name])
      for (const [name, value] of Object.entries(refusal.getHeaders())) this.#run('setHeader', [name, value])
      this.#pin(refusal)
      if (this.#gate !== undefined) this.#gate.refusalSent = true
      this.#run('end', [refusal.body])
      process.nextTick(() => this.#gate?.over())
    }
    for (const { given } of dropped) {
      const callback = given.find((each) => typeof each === 'function')
      if (callback !== undefined) process.nextTick(callback, notSent())
    }
  }

  /** Ends an incomplete response: an adapter that waits for its end gets an error. */
  #cut(error: unknown): void {
    this.#calls.length = 0
    this.#fail(error)
    this.#refused = true
    this.#run('destroy', [])
    this.#gate?.over()
  }

  #fail(error: unknown): void {
    if (this.#refused) return
    if (this.#calls.length > 0) this.#errors.push(error)
    // Without a listener, an error event would end the process.
    else if (this.#res.listenerCount('error') > 0) this.#res.emit('error', error)
  }

  #destroy(given: readonly unknown[]): unknown {
    if (this.#calls.length > 0 && this.#bare?.writableEnded === true) {
      this.#destroyAsked = true
      return this.#res
    }
    const held = this.#calls.splice(0).length > 0
    this.#hide()
    if (held) this.#refused = true
    return this.#run('destroy', given)
  }

  /** Fixes the status from the first byte on, because adapters read it at the end. */
  #pin({ statusCode, statusMessage }: ServerResponse): void {
    for (const [name, value] of [
      ['statusCode', statusCode],
      ['statusMessage', statusMessage],
    ] as const) {
      Object.defineProperty(this.#res, name, {
        get: () => value,
        set: () => undefined,
        configurable: true,
        enumerable: true,
      })
    }
  }

  /**
   * Makes held calls look as if they were made. `finished` and `writableEnded` are not changed: adapters read them as soon as the
   * application returns, and take a response that has ended for one that they have collected completely.
   */
  #show(): void {
    const bare = this.#bare as ServerResponse
    Object.defineProperty(this.#res, 'headersSent', { get: () => bare.headersSent, configurable: true })
  }

  #hide(): void {
    Reflect.deleteProperty(this.#res, 'headersSent')
  }
}

function callOf(res: GuardResponse, name: string, given: readonly unknown[]): unknown {
  return Reflect.apply(methodOf(res, name) as Method, res, given)
}

function methodOf(res: object, name: string): unknown {
  return Reflect.get(res, name)
}

/** A bare response with the same head so far, whose bytes nobody receives. */
function bareOf(res: GuardResponse, fail: (error: unknown) => void): ServerResponse {
  const bare = new ServerResponse(requestOf(res))
  const nobody = new Writable({ write: (_chunk, _encoding, done) => done() })
  bare.statusCode = res.statusCode
  bare.statusMessage = res.statusMessage
  for (const [name, value] of Object.entries(res.getHeaders())) {
    if (value !== undefined) bare.setHeader(name, value)
  }
  bare.assignSocket(nobody as unknown as Parameters<ServerResponse['assignSocket']>[0])
  bare.on('error', fail)
  return bare
}

/** Whether the calls of a response can be held. */
export function canHoldCalls(res: GuardResponse): boolean {
  const needed = ['write', 'end', 'getHeaders', 'getHeaderNames', 'setHeader', 'removeHeader', 'emit', 'on']
  return (
    Object.isExtensible(res) &&
    needed.every((name) => {
      const own = Object.getOwnPropertyDescriptor(res, name)
      return typeof methodOf(res, name) === 'function' && own?.configurable !== false
    })
  )
}

/** @throws TypeError if the calls of this response cannot be held */
export function heldResponseOf(res: GuardResponse & { [heldKey]?: HeldResponse }): HeldResponse {
  const known = res[heldKey]
  if (known !== undefined) return known
  if (!canHoldCalls(res)) {
    throw new TypeError(
      'the response has no connection and lacks the methods of a response, so it cannot be held back',
    )
  }
  const held = new HeldResponse(res)
  Object.defineProperty(res, heldKey, { value: held })
  return held
}
