/* oxlint-disable no-underscore-dangle -- a name of Node */
import { ServerResponse } from 'node:http'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { checkOptions } from '../options.ts'
import type { GuardRequest } from './handler.ts'
import { sendError } from './response/plain-error.ts'
import { isOfStream, judgeStream } from './guard-stream.ts'
import { listOf, runGuards, SOME_GUARDS, type Guards } from './run-guards.ts'

export interface GuardUpgradeOptions {
  /** The guards in their order: `auditAccess`, `ipWhitelist`, `domainProtect`, `serverOnly` …, or `protect({ … })`. */
  readonly guards: Guards
}

/** How long a caller may take to read a refusal, in milliseconds. */
const MOST_TIME = 5_000

/**
 * Guards the requests that give a connection another protocol: upgrades, such as those to WebSocket, and the method CONNECT, with
 * which HTTP/2 opens a WebSocket (RFC 8441). Browsers do not apply CORS to WebSockets: without a guard, any page may open one
 * with the cookies of its visitor. `domainProtect` judges the `Origin`, `ipWhitelist` the address, and `serverOnly` the signature
 * of a server.
 *
 * A refused request gets a problem document on its connection, which is then closed (with HTTP/2, the stream); no listener for
 * `upgrade`, `connect` or `stream` is called. An admitted request goes to all these listeners, whenever they were added, with
 * `req.portcullis`. If a server has no listener for `upgrade`, an upgrade is an ordinary request, as in Node. `auditAccess`
 * records an admitted request when its connection closes.
 *
 * @param server an `http.Server`, an `https.Server`, or a server of `node:http2`
 * @throws ConfigError
 */
export function guardUpgrade(server: EventEmitter, options: GuardUpgradeOptions): void {
  const settings = checkOptions<GuardUpgradeOptions>('guardUpgrade', options, { guards: SOME_GUARDS })
  const guards = listOf(settings.guards)
  // Wraps `emit` instead of adding a listener: a listener cannot hide an event from others, and Node counts the listeners.
  const emit = server.emit
  server.emit = function (event: string | symbol, ...given: unknown[]): boolean {
    const pass = (): boolean => emit.call(this, event, ...given)
    if (event === 'stream') return judgeStream(given, guards, pass)
    if (event !== 'upgrade' && event !== 'connect') return pass()
    const [req, socket] = given as [GuardRequest, BusySocket]
    // For a stream that was admitted, Node emits another event with a request of its own.
    if (isOfStream(req)) return pass()
    if (socket._httpMessage) {
      closeBehindAnswers(socket)
      return true
    }
    judge(req, socket, guards, () => {
      // The last listener may have been removed in the meantime.
      if (!pass()) socket.destroy()
    })
    return true
  }
}

/** A socket with the response that Node is currently sending on it. */
type BusySocket = Socket & { readonly _httpMessage?: ServerResponse | null }

/**
 * Closes a connection after the responses to earlier requests were sent. A response to the upgrade would mix with them, so the
 * upgrade is neither judged nor passed on. The caller can repeat it on another connection.
 */
function closeBehindAnswers(socket: BusySocket): void {
  // Node has removed its own listener.
  socket.on('error', () => undefined)
  const look = (): void => {
    if (socket._httpMessage) socket._httpMessage.once('close', look)
    else close(socket)
  }
  look()
}

function judge(req: GuardRequest, socket: Socket, guards: ReturnType<typeof listOf>, pass: () => void): void {
  const res = new ServerResponse(req)
  res.shouldKeepAlive = false
  res.assignSocket(socket)
  // Node has removed its own listener.
  const ignore = (): void => undefined
  socket.on('error', ignore)
  res.once('finish', () => close(socket))
  runGuards(guards, req, res, (error) => {
    if (error !== undefined) {
      sendError(res, error)
      return
    }
    if (socket.destroyed || res.headersSent) return
    res.detachSocket(socket)
    socket.once('close', () => res.emit('close'))
    socket.off('error', ignore)
    pass()
  })
}

/** Closes a connection after the written data was sent. */
function close(socket: Socket): void {
  socket.destroySoon()
  const timer = setTimeout(() => socket.destroy(), MOST_TIME)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}
