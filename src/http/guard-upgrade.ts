/* oxlint-disable no-underscore-dangle -- the name that Node gave it */
import { ServerResponse } from 'node:http'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { checkOptions } from '../options.ts'
import type { GuardRequest } from './handler.ts'
import { sendError } from './response/plain-error.ts'
import { listOf, runGuards, SOME_GUARDS, type Guards } from './run-guards.ts'

export interface GuardUpgradeOptions {
  /** What judges: `auditAccess`, `ipWhitelist`, `domainProtect`, `serverOnly` …, in their order, or `protect({ … })`. */
  readonly guards: Guards
}

/** How long a caller may take to read a refusal, in milliseconds. */
const MOST_TIME = 5_000

/**
 * Puts guards in front of the upgrades of a server, such as those to WebSocket: browsers apply no CORS to them, so that
 * without a guard any page may open one with the cookies of its visitor. `domainProtect` judges their `Origin`,
 * `ipWhitelist` their address, `serverOnly` the signature of a server.
 *
 * An upgrade that is refused is answered by its problem document on the connection, which is then closed; no listener for
 * `upgrade` hears of it. One that passes goes on to all of them, whenever they were added, with `req.portcullis`. To a server
 * without such listeners an upgrade is a request like others, as it is to Node. `auditAccess` records an upgrade when its
 * connection is closed.
 *
 * @param server an `http.Server` or `https.Server`
 * @throws ConfigError
 */
export function guardUpgrade(server: EventEmitter, options: GuardUpgradeOptions): void {
  const settings = checkOptions<GuardUpgradeOptions>('guardUpgrade', options, { guards: SOME_GUARDS })
  const guards = listOf(settings.guards)
  // Listeners cannot keep an event from each other, and Node asks how many there are: so none is added.
  const emit = server.emit
  server.emit = function (event: string | symbol, ...given: unknown[]): boolean {
    if (event !== 'upgrade') return emit.call(this, event, ...given)
    const [req, socket, head] = given as [GuardRequest, BusySocket, Buffer]
    if (socket._httpMessage) {
      closeBehindAnswers(socket)
      return true
    }
    judge(req, socket, guards, () => {
      // The last listener may have gone meanwhile.
      if (!emit.call(this, event, req, socket, head)) socket.destroy()
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
