import { describe, expect, it } from '@jest/globals'
import type { Request, RequestHandler } from 'express'
import { bodyParsers, memoryNonces, serverOnly } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'

const HEADER = 'x-http-method-override'

/** Behaves like the package `method-override`, with a header or the query. */
const override: RequestHandler = (req, _res, next) => {
  const changed = req as Request & { originalMethod?: string }
  changed.originalMethod = req.method
  const asked = req.get(HEADER) ?? new URL(req.originalUrl, 'http://a').searchParams.get('_method')
  if (asked) req.method = asked.toUpperCase()
  next()
}

interface Sent {
  readonly signed: string
  readonly sent?: string
  readonly path?: string
  readonly header?: string
  readonly covered?: readonly string[]
  /** Whether the header was added after the request was signed. */
  readonly added?: boolean
  readonly guardAhead?: boolean
}

async function send({
  signed,
  sent = signed,
  path = '/a',
  header,
  covered = [],
  added = false,
  guardAhead,
}: Sent): Promise<number> {
  const { app } = protectedApp({ serverOnly: { mode: 'enforce' } }, (policies) => {
    const guard = serverOnly({ policies, nonces: memoryNonces() })
    return [...bodyParsers(), ...(guardAhead === true ? [guard, override] : [override, guard])] as never
  })
  return listening(app, async (origin) => {
    const overriding = header === undefined ? {} : { [HEADER]: header }
    const headers = await signRequest(
      {
        method: signed,
        url: `${origin}${path}`,
        headers: { 'x-app-id': APP, ...(!added && overriding) },
      },
      { keyId: KEY.id, secret: KEY.secret, covered },
    )
    return (await fetch(`${origin}${path}`, { method: sent, headers: { ...headers, ...overriding } })).status
  })
}

describe('a method that other middleware has changed', () => {
  it.each<[string, Sent, number]>([
    [
      'passes as it was sent and signed, with the header covered',
      { signed: 'POST', header: 'DELETE', covered: [HEADER] },
      200,
    ],
    ['passes as the clients of the package sign it', { signed: 'POST', header: 'DELETE' }, 200],
    ['is refused where the header is not covered', { signed: 'POST', header: 'DELETE', added: true }, 401],
    [
      'is refused where the method that was never sent was signed',
      { signed: 'DELETE', sent: 'POST', header: 'DELETE', covered: [HEADER] },
      401,
    ],
    ['passes where the query named it', { signed: 'POST', path: '/a?_method=DELETE' }, 200],
    [
      'passes behind the guard, which has judged what was received',
      { signed: 'POST', header: 'DELETE', guardAhead: true },
      200,
    ],
    ['does not matter where nothing asks for another', { signed: 'POST' }, 200],
  ])('%s', async (_what, sent, status) => {
    expect(await send(sent)).toBe(status)
  })
})
