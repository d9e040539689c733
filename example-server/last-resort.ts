import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { causeOf, type Log } from './log.ts'

/** The status line for a client whose request is not readable, by the error code of Node. */
const ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** Answers bytes that are not a readable request. Neither the answer nor the log contains any of them. */
export function answerClientErrors(server: Server, log: Log): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    log.seldom('a client sent an unreadable request', { code: causeOf(error) })
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else {
      const status = ANSWERS[error.code ?? ''] ?? '400 Bad Request'
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    }
  })
}

/**
 * Logs an uncaught error, and shuts the process down as a signal would, with exit code 1. The process must not
 * continue, because its state is unknown.
 */
export function installLastResort(log: Log, stop: () => void): void {
  const end = (error: unknown): void => {
    log('an error was not caught; the server stops', {
      fault: error instanceof Error ? (error.stack ?? error.message) : typeof error,
    })
    process.exitCode = 1
    stop()
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
}
