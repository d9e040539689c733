import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import { messagePage } from './pages/layout.ts'
import { PersonGone } from './people.ts'
import { problemOf, sendProblem } from './problems.ts'
import { StorageUnavailable } from './storage.ts'
import { sendUnavailable } from './unavailable.ts'

/** Sends apps a problem document, and people a page. */
export const answerNotFound: RequestHandler = (req, res) => {
  if (isApi(req.originalUrl)) sendProblem(req, res, 'NOT_FOUND')
  else res.status(404).send(messagePage('Page not found', 'Please check the address.'))
}

/** The last handler. Answers every error, and reports those that are the server's fault. */
export const answerErrors =
  (onFault: (error: unknown) => void): ErrorRequestHandler =>
  (error: unknown, req, res, next) => {
    if (res.headersSent) {
      next(error)
      return
    }
    if (error instanceof PersonGone) return sendGone(res)
    const unavailable =
      error instanceof StorageUnavailable || (error as { code?: unknown }).code === 'UNAVAILABLE'
    const code = unavailable ? 'UNAVAILABLE' : problemOf(error)
    if (code === 'INTERNAL') onFault(error)
    if (isApi(req.originalUrl)) sendProblem(req, res, code)
    else if (unavailable) sendUnavailable(res)
    else sendFault(res, code === 'INTERNAL')
  }

function isApi(url: string): boolean {
  return /^\/auth(?:\/|\?|$)/i.test(url)
}

/** For pages only: apps get `TOKEN_INVALID` for the token of a deleted person. */
function sendGone(res: Response): void {
  const text = 'It was deleted while this page was open. Nothing else was done.'
  res.status(410).send(messagePage('This account was deleted', text))
}

function sendFault(res: Response, isOurs: boolean): void {
  if (isOurs)
    res.status(500).send(messagePage('Something went wrong', 'This is our fault. Please try again.'))
  else res.status(400).send(messagePage('This request is not valid', 'Please go back and try again.'))
}
