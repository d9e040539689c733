import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { causeOf, type Log } from './log.ts'

/** What is said to a client whose bytes are not HTTP, by the code of Node's parser. */
const ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** Answers what never becomes a request. Nothing of what was sent goes into the answer or into the log. */
export function answerClientErrors(server: Server, log: Log): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    log.seldom('a client sent no readable request', { code: causeOf(error) })
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else {
      const status = ANSWERS[error.code ?? ''] ?? '400 Bad Request'
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    }
  })
}

/**
 * The last resort: what nobody has caught is told, and the process ends as if it had been told to stop, with 1. It does not
 * go on, because nobody knows in which state it is.
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
