/* oxlint-disable no-underscore-dangle -- the name that Node gave it */
import { ServerResponse } from 'node:http'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { checkOptions } from '../options.ts'
import type { GuardRequest } from './handler.ts'
import { sendError } from './response/plain-error.ts'
import { isOfStream, judgeStream } from './guard-stream.ts'
import { listOf, runGuards, SOME_GUARDS, type Guards } from './run-guards.ts'

export interface GuardUpgradeOptions {
  /** What judges: `auditAccess`, `ipWhitelist`, `domainProtect`, `serverOnly` …, in their order, or `protect({ … })`. */
  readonly guards: Guards
}

/** How long a caller may take to read a refusal, in milliseconds. */
const MOST_TIME = 5_000

/**
 * Puts guards in front of what turns a connection of a server into another one: upgrades, such as those to WebSocket, and the
 * method CONNECT, by which HTTP/2 opens a WebSocket (RFC 8441). Browsers apply no CORS to WebSockets, so that without a guard
 * any page may open one with the cookies of its visitor. `domainProtect` judges their `Origin`, `ipWhitelist` their address,
 * `serverOnly` the signature of a server.
 *
 * What is refused is answered by its problem document on the connection, which is then closed (with HTTP/2 the stream); no
 * listener for `upgrade`, `connect` or `stream` hears of it. What passes goes on to all of them, whenever they were added,
 * with `req.portcullis`. To a server without listeners for `upgrade` an upgrade is a request like others, as it is to Node.
 * `auditAccess` records what passes when its connection is closed.
 *
 * @param server an `http.Server`, an `https.Server`, or a server of `node:http2`
 * @throws ConfigError
 */
export function guardUpgrade(server: EventEmitter, options: GuardUpgradeOptions): void {
  const settings = checkOptions<GuardUpgradeOptions>('guardUpgrade', options, { guards: SOME_GUARDS })
  const guards = listOf(settings.guards)
  // Listeners cannot keep an event from each other, and Node asks how many there are: so none is added.
  const emit = server.emit
  server.emit = function (event: string | symbol, ...given: unknown[]): boolean {
    const pass = (): boolean => emit.call(this, event, ...given)
    if (event === 'stream') return judgeStream(given, guards, pass)
    if (event !== 'upgrade' && event !== 'connect') return pass()
    const [req, socket] = given as [GuardRequest, BusySocket]
    // Node tells of a stream that has passed once more, by a request of its own.
    if (isOfStream(req)) return pass()
    if (socket._httpMessage) {
      closeBehindAnswers(socket)
      return true
    }
    judge(req, socket, guards, () => {
      // The last listener may have gone meanwhile.
      if (!pass()) socket.destroy()
    })
    return true
  }
}

/** A socket as Node keeps it while responses are sent by it: with the one whose turn it is. */
type BusySocket = Socket & { readonly _httpMessage?: ServerResponse | null }

/**
 * Closes a connection once the answers to earlier requests have left. The answer to an upgrade behind them would mix with
 * theirs, so the upgrade is neither judged nor passed on. Its caller may send it again on another connection.
 */
function closeBehindAnswers(socket: BusySocket): void {
  // Node has taken its own listener off.
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
  // Node has taken its own listener off.
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

/** Ends a connection behind what was written. */
function close(socket: Socket): void {
  socket.destroySoon()
  const timer = setTimeout(() => socket.destroy(), MOST_TIME)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}
