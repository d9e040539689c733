import type { Response } from 'express'
import { messagePage } from './pages/layout.ts'

/** Sends the page for people while a service is unreachable. */
export function sendUnavailable(res: Response): void {
  res
    .status(503)
    .set('Retry-After', '2')
    .send(
      messagePage(
        'Please wait a moment',
        'The service is temporarily unavailable. Please reload this page in a few seconds.',
      ),
    )
}
