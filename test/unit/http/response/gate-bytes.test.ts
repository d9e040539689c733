import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import { gateResponse, type GateKeeper } from '../../../../src/http/response/gate.ts'
import { listening } from '../../../support/protected-app.ts'

type Handler = (req: IncomingMessage, res: ServerResponse) => void

const big = 'x'.repeat(300_000)

const handlers: [string, Handler][] = [
  ['a text at the end', (_req, res) => void res.end('hello')],
  ['nothing', (_req, res) => void res.end()],
  ['headers and a status', (_req, res) => void res.writeHead(201, { 'x-a': '1' }).end('made')],
  ['204', (_req, res) => void res.writeHead(204).end()],
  ['304', (_req, res) => void res.writeHead(304).end()],
  [
    'several writes',
    (_req, res) => {
      res.write('a')
      res.write(Buffer.from('b'))
      res.write('Yw==', 'base64')
      res.end('d')
    },
  ],
  [
    'a large write',
    (_req, res) => {
      res.write(big)
      res.end(big)
    },
  ],
  ['a stream', (_req, res) => void Readable.from(['one', 'two', big, 'three']).pipe(res)],
  [
    'flushed headers',
    (_req, res) => {
      res.setHeader('x-a', '1')
      res.flushHeaders()
      setTimeout(() => res.end('late'), 5)
    },
  ],
  [
    'a callback of end',
    (_req, res) => {
      res.end('x', () => undefined)
    },
  ],
  [
    'a callback alone',
    (_req, res) => {
      res.end(() => undefined)
    },
  ],
  [
    'a declared length',
    (_req, res) => {
      res.setHeader('content-length', 5)
      res.end('hello')
    },
  ],
  [
    'a second end',
    (_req, res) => {
      res.end('x')
      res.end()
    },
  ],
]

/** The answer as its caller sees it. */
async function answerOf(listener: RequestListener, method: string): Promise<unknown> {
  return listening(listener, async (origin) => {
    const response = await fetch(origin, { method })
    const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'date'))
    return { status: response.status, headers, text: await response.text() }
  })
}

const gated =
  (handler: Handler, keeper: Partial<GateKeeper>): RequestListener =>
  (req, res) => {
    gateResponse(res, { before: () => undefined, refuse: () => undefined, ...keeper })
    handler(req, res)
  }

const keepers: [string, () => void | Promise<void>][] = [
  ['agrees at once', () => undefined],
  ['agrees in a moment', () => sleep(3)],
]

describe('gateResponse, as seen by a caller', () => {
  for (const [how, before] of keepers) {
    for (const [what, handler] of handlers) {
      for (const method of ['GET', 'HEAD', 'POST']) {
        it(`changes no byte of ${what} (${method}) when the keeper ${how}`, async () => {
          expect(await answerOf(gated(handler, { before }), method)).toEqual(await answerOf(handler, method))
        })
      }
    }
  }

  it('calls the callbacks of write and end', async () => {
    const called: string[] = []
    const handler: Handler = (_req, res) => {
      res.write('a', () => called.push('write'))
      res.end('b', () => called.push('end'))
    }
    await answerOf(gated(handler, { before: () => sleep(2) }), 'GET')
    expect(called).toEqual(['write', 'end'])
  })

  const refusals: [string, () => void | Promise<void>][] = [
    ['rejects', async () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
  ]
  for (const [how, before] of refusals) {
    it(`sends the refusal instead of the answer, without its headers, when the keeper ${how}`, async () => {
      const handler: Handler = (_req, res) => {
        res.setHeader('x-secret', '1')
        res.statusCode = 200
        res.write('secret')
        res.end('secret')
      }
      const listener: RequestListener = (req, res) => {
        gateResponse(res, {
          before,
          refuse(answer) {
            answer.statusCode = 503
            answer.end('refused')
          },
        })
        handler(req, res)
      }
      const answer = (await answerOf(listener, 'GET')) as { headers: object }
      expect(answer).toMatchObject({ status: 503, text: 'refused' })
      expect(answer.headers).not.toHaveProperty('x-secret')
    })
  }

  it('closes the connection if a part was already sent', async () => {
    let parts = 0
    const handler: Handler = (_req, res) => {
      res.write('first')
      setTimeout(() => res.end('secret'), 20)
    }
    const listener = gated(handler, {
      before: () => (++parts === 1 ? undefined : Promise.reject(new Error('no'))),
    })
    await listening(listener, async (origin) => {
      const response = await fetch(origin)
      await expect(response.text()).rejects.toThrow()
    })
  })

  it('causes no harm if the caller disconnects meanwhile', async () => {
    const faults: unknown[] = []
    const listener = gated((_req, res) => void res.end('late'), { before: () => sleep(40) })
    await listening(listener, async (origin, server) => {
      server.on('clientError', (error) => faults.push(error))
      await expect(fetch(origin, { signal: AbortSignal.timeout(10) })).rejects.toThrow()
      await sleep(60)
      expect(await (await fetch(origin)).text()).toBe('late')
    })
    expect(faults).toEqual([])
  })
})
