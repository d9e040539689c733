import { AsyncLocalStorage } from 'node:async_hooks'
import { PassThrough, Readable } from 'node:stream'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from '@jest/globals'
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express'
import fc from 'fast-check'
import { bodyParsers, type GuardRequest, type GuardResponse } from 'portcullis'
import { listening } from '../../support/protected-app.ts'

const LIMIT = 1_000_000
const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'

interface Answer {
  readonly status: number
  readonly body?: unknown
  readonly error?: unknown
}

interface Sent {
  readonly bytes: Uint8Array
  readonly coding?: string | undefined
  readonly type?: string | undefined
  readonly chunked?: boolean | undefined
}

/** An app that answers with the body, or with the status and the type of the error. */
function appBehind(
  ahead: RequestHandler,
  parsers = bodyParsers({ limit: LIMIT }),
  errors: unknown[] = [],
): Express {
  const report: ErrorRequestHandler = (error: { status?: number; type?: string }, _req, res, _next) => {
    errors.push(error)
    res.status(error.status ?? 599).json({ error: error.type })
  }
  return express().use(
    ahead,
    parsers as RequestHandler,
    (req: Request, res: express.Response) => void res.json({ body: req.body as unknown }),
    report,
  )
}

async function post(origin: string, { bytes, coding, type = JSON_TYPE, chunked }: Sent): Promise<Answer> {
  const response = await fetch(origin, {
    method: 'POST',
    headers: { 'content-type': type, ...(coding !== undefined && { 'content-encoding': coding }) },
    body: chunked === true ? inParts(bytes) : Buffer.from(bytes),
    duplex: 'half',
  })
  return { status: response.status, ...((await response.json()) as object) }
}

/** Two parts, with a short pause between them. */
async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const middle = Math.ceil(bytes.length / 2)
  if (middle > 0) yield bytes.subarray(0, middle)
  await new Promise((resolve) => setTimeout(resolve, 30))
  if (middle < bytes.length) yield bytes.subarray(middle)
}

const pass: RequestHandler = (_req, _res, next) => next()

// Large and hard to compress, so that it fills the buffers of the streams.
const VALUE = { text: Array.from({ length: 20_000 }, (_, index) => (index * 7919).toString(36)).join(' ') }
const PLAIN = Buffer.from(JSON.stringify(VALUE))

const forms: readonly (readonly [form: string, sent: Sent])[] = [
  ['plain', { bytes: PLAIN }],
  ['plain, chunked', { bytes: PLAIN, chunked: true }],
  ['gzip', { bytes: gzipSync(PLAIN), coding: 'gzip' }],
  ['gzip, chunked', { bytes: gzipSync(PLAIN), coding: 'gzip', chunked: true }],
  ['deflate', { bytes: deflateSync(PLAIN), coding: 'deflate' }],
  ['br, chunked', { bytes: brotliCompressSync(PLAIN), coding: 'br', chunked: true }],
]

const READ = { status: 200, body: VALUE }
const NOT_BYTES = { status: 500, error: 'stream.encoding.set' }
const TAKEN = { status: 500, error: 'stream.not.readable' }

const states: readonly (readonly [
  state: string,
  ahead: RequestHandler,
  answer: Answer,
  chunkedAlone?: true,
])[] = [
  ['that nobody has touched', pass, READ],
  [
    'whose encoding is set',
    (req, _res, next) => {
      req.setEncoding('utf8')
      next()
    },
    NOT_BYTES,
  ],
  [
    'whose encoding is set while it is read',
    (req, _res, next) => {
      req.once('data', () => req.setEncoding('latin1'))
      next()
    },
    NOT_BYTES,
    true,
  ],
  [
    'that is paused',
    (req, _res, next) => {
      req.pause()
      next()
    },
    READ,
  ],
  [
    'that is paused while it is read',
    (req, _res, next) => {
      req.once('data', () => req.pause())
      next()
    },
    READ,
  ],
  [
    'that was paused some moments ago',
    (req, _res, next) => {
      req.pause()
      setTimeout(next, 20)
    },
    READ,
  ],
  [
    'that somebody else listens to',
    (req, _res, next) => {
      req.on('data', () => undefined)
      next()
    },
    READ,
  ],
  [
    'that somebody else asks for data',
    (req, _res, next) => {
      req.on('readable', () => undefined)
      next()
    },
    READ,
  ],
  [
    'that somebody else reads in small pieces',
    (req, _res, next) => {
      req.on('readable', () => req.read(10) as unknown)
      next()
    },
    READ,
  ],
  [
    'that is piped to a stream which nobody reads',
    (req, _res, next) => {
      req.pipe(new PassThrough({ highWaterMark: 16 }))
      next()
    },
    READ,
  ],
  [
    'that was read to its end',
    (req, _res, next) => {
      req.on('end', next).resume()
    },
    TAKEN,
  ],
  [
    'that was read to its end by an iterator',
    async (req, _res, next) => {
      for await (const _ of req) continue
      next()
    },
    TAKEN,
  ],
  [
    'of which a part was read',
    (req, _res, next) => {
      req.once('data', () => {
        req.pause()
        next()
      })
    },
    TAKEN,
  ],
  [
    'that was read and left as a value',
    (req, _res, next) => {
      req.on('end', () => {
        req.body = 'read'
        next()
      })
      req.resume()
    },
    { status: 200, body: 'read' },
  ],
]

const table = states.flatMap(([state, ahead, answer, chunkedAlone]) =>
  forms
    .filter(([, { chunked }]) => chunkedAlone !== true || chunked === true)
    .map(([form, sent]) => [state, form, ahead, sent, answer] as const),
)

describe('a request', () => {
  it.each(table)(
    '%s gives its body or an error with a status: %s',
    async (_state, _form, ahead, sent, answer) => {
      await listening(appBehind(ahead), async (origin) => {
        expect(await post(origin, sent)).toEqual(answer)
      })
    },
  )

  it.each([
    ['is destroyed', (req: Request) => void req.destroy()],
    ['has failed', (req: Request) => void req.destroy(new Error('of somebody else'))],
    [
      'is destroyed later',
      (req: Request) => void setImmediate(() => req.destroy(new Error('of somebody else'))),
    ],
  ])('that %s gives an error with a status', async (_what, ruin) => {
    for (const [, sent] of forms) {
      const errors: unknown[] = []
      const ahead: RequestHandler = (req, _res, next) => {
        req.pause()
        ruin(req)
        next()
      }
      await listening(appBehind(ahead, undefined, errors), async (origin) => {
        await expect(post(origin, { ...sent, chunked: true })).rejects.toThrow()
      })
      expect(errors).toEqual([expect.objectContaining({ status: 400, type: 'request.aborted' })])
    }
  })

  /** The result of the parsers for a stream that is not a Node request, like those of adapters. */
  function parse(stream: Readable, headers: object): Promise<{ error: unknown; body: unknown }> {
    const req = Object.assign(stream, { headers, method: 'POST', url: '/' }) as unknown as GuardRequest
    return new Promise((resolve) =>
      bodyParsers()(req, {} as GuardResponse, (error) => resolve({ error, body: req.body as unknown })),
    )
  }

  it('of an adapter may be any kind of stream', async () => {
    const headers = { 'content-type': JSON_TYPE, 'content-length': '7' }
    const failing = new Readable({ read: () => undefined })
    setImmediate(() => failing.destroy(new Error('of the adapter')))
    const streams: [Readable, object][] = [
      [Readable.from([Buffer.from('{"a":1}')], { objectMode: false }), { body: { a: 1 } }],
      [Readable.from([{ a: 1 }]), { error: expect.objectContaining({ status: 500 }) }],
      [
        Readable.from(['{"a":1}'], { objectMode: false, encoding: 'utf8' }),
        { error: expect.objectContaining({ status: 500 }) },
      ],
      [
        Readable.from([Buffer.from('{"a"')], { objectMode: false }),
        { error: expect.objectContaining({ status: 400, type: 'request.size.invalid' }) },
      ],
      [failing, { error: expect.objectContaining({ status: 400 }) }],
    ]
    for (const [stream, expected] of streams) expect(await parse(stream, headers)).toMatchObject(expected)
  })

  it('that fails after it was refused does not crash the process', async () => {
    const stream = new Readable({ read: () => undefined })
    const headers = { 'content-type': JSON_TYPE, 'content-length': '1000000000' }
    expect(await parse(stream, headers)).toMatchObject({ error: { status: 413 } })
    stream.destroy(new Error('of the adapter'))
    await new Promise((resolve) => stream.once('close', resolve))
  })

  it('keeps the asynchronous context of earlier middleware', async () => {
    const context = new AsyncLocalStorage<number>()
    let count = 0
    const app = express().use(
      ((_req, _res, next) => context.run((count += 1), next)) as RequestHandler,
      bodyParsers({ limit: LIMIT }) as RequestHandler,
      (_req: Request, res: express.Response) => void res.json({ body: context.getStore() }),
    )
    await listening(app, async (origin) => {
      for (const [index, [, sent]] of forms.entries()) {
        expect(await post(origin, sent)).toEqual({ status: 200, body: index + 1 })
      }
    })
  })
})

describe('a compressed body', () => {
  const codings: readonly (readonly [string, (bytes: Uint8Array) => Buffer])[] = [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ]
  it.each(codings)(
    'of %s is decompressed only if it is complete, single and small enough',
    async (coding, pack) => {
      const packed = pack(Buffer.from('{"a":1}'))
      const broken = { status: 400, error: 'entity.unpack.failed' }
      const cases: [Uint8Array, Answer][] = [
        [packed, { status: 200, body: { a: 1 } }],
        [packed.subarray(0, -1), broken],
        [packed.subarray(0, 5), broken],
        [Buffer.concat([packed, Buffer.from('garbage!')]), broken],
        [Buffer.concat([packed, Buffer.alloc(3)]), broken],
        [Buffer.from('{"a":1}'), broken],
        [new Uint8Array(0), { status: 200, body: {} }],
        [pack(Buffer.alloc(20_000_000)), { status: 413, error: 'entity.too.large' }],
        [pack(Buffer.alloc(LIMIT + 1)), { status: 413, error: 'entity.too.large' }],
      ]
      await listening(appBehind(pass), async (origin) => {
        for (const chunked of [false, true]) {
          for (const [bytes, answer] of cases) {
            expect(await post(origin, { bytes, coding, chunked })).toEqual(answer)
          }
        }
      })
    },
  )
})

describe('the charset of a body', () => {
  const good = [
    '',
    ';',
    '; charset=utf-8',
    ';charset=UTF-8',
    '; charset="utf-8"',
    '; Charset = "UTF8" ',
    '; charset=utf8',
    '; x=y; charset=utf-8',
    '; utf-8',
  ]
  const bad = [
    'utf-7',
    'UTF-7',
    'utf-16',
    'utf-16le',
    'utf-32',
    'iso-8859-1',
    'latin1',
    'us-ascii',
    'shift_jis',
    'utf-8x',
    '"utf-7"',
    '',
    '""',
    "'utf-8'",
    '"utf-8',
    'utf-8 utf-7',
    'ｕtf-8'.normalize('NFC'),
  ]
    .map((name) => `; charset=${encodeURI(name).replaceAll('%22', '"')}`)
    .concat('; charset=utf-8; charset=utf-7', '; charset=utf-7; charset=utf-8', ';x="; charset=utf-7')
  it.each([
    [JSON_TYPE, '{"a":"ü"}'],
    ['application/problem+json', '{"a":"ü"}'],
    [FORM_TYPE, 'a=%C3%BC'],
  ])('must be UTF-8, or the answer is 415: %s', async (type, text) => {
    const bytes = Buffer.from(text)
    await listening(appBehind(pass), async (origin) => {
      for (const end of good) {
        expect([end, await post(origin, { bytes, type: type + end })]).toEqual([
          end,
          { status: 200, body: { a: 'ü' } },
        ])
      }
      for (const end of bad) {
        const refused = { status: 415, error: 'charset.unsupported' }
        expect([end, await post(origin, { bytes, type: type + end })]).toEqual([end, refused])
        const packed = { bytes: gzipSync(bytes), coding: 'gzip', type: type + end }
        expect([end, await post(origin, packed)]).toEqual([end, refused])
      }
    })
  })
})

describe('the text of a body', () => {
  const utf8 = (text: string): Buffer => Buffer.from(text)
  const cases: readonly (readonly [what: string, bytes: Uint8Array, type: string, answer: Answer])[] = [
    ['no bytes', utf8(''), JSON_TYPE, { status: 200, body: {} }],
    ['a byte order mark', utf8('\uFEFF[1]'), JSON_TYPE, { status: 200, body: [1] }],
    ['white space around', utf8(' \n{"a":1}\t'), JSON_TYPE, { status: 200, body: { a: 1 } }],
    [
      'bytes that are no UTF-8',
      Buffer.from('{"a":"\xfc"}', 'latin1'),
      JSON_TYPE,
      { status: 400, error: 'entity.parse.failed' },
    ],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le'), JSON_TYPE, { status: 400, error: 'entity.parse.failed' }],
    ['a string', utf8('"secret"'), JSON_TYPE, { status: 400, error: 'entity.parse.failed' }],
    ['null', utf8('null'), JSON_TYPE, { status: 400, error: 'entity.parse.failed' }],
    ['no JSON', utf8('{"a":secret}'), JSON_TYPE, { status: 400, error: 'entity.parse.failed' }],
    ['an empty form', utf8(''), FORM_TYPE, { status: 200, body: {} }],
    [
      'a form',
      utf8('a=1&b=x+y%20z&c&=d&a=2&&a=3'),
      FORM_TYPE,
      { status: 200, body: { a: ['1', '2', '3'], b: 'x y z', c: '', '': 'd' } },
    ],
    [
      'a form with brackets',
      utf8('a[b]=1&c[]=2'),
      FORM_TYPE,
      { status: 200, body: { 'a[b]': '1', 'c[]': '2' } },
    ],
    [
      'a form with a prototype',
      utf8('__proto__=1&__proto__=2&constructor=3&toString=4'),
      FORM_TYPE,
      { status: 200, body: { constructor: '3', toString: '4' } },
    ],
    [
      'a form of 1,000 parameters',
      utf8('a&'.repeat(999) + 'b=1'),
      FORM_TYPE,
      { status: 200, body: { a: Array.from({ length: 999 }, () => ''), b: '1' } },
    ],
    [
      'a form of 1,001 parameters',
      utf8('a&'.repeat(1000) + 'b=1'),
      FORM_TYPE,
      { status: 413, error: 'parameters.too.many' },
    ],
    ['text', utf8('text'), 'text/plain', { status: 200 }],
  ]
  it.each(cases)('is decoded as the standards say: %s', async (_what, bytes, type, answer) => {
    const errors: { message?: string }[] = []
    await listening(appBehind(pass, undefined, errors), async (origin) => {
      expect(await post(origin, { bytes, type })).toEqual(answer)
    })
    for (const error of errors) expect(JSON.stringify(error) + error.message).not.toContain('secret')
  })

  it('is read as it was written, for any value and framing', async () => {
    await listening(appBehind(pass), async (origin) => {
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue())),
          fc.constantFrom(undefined, 'gzip', 'deflate', 'br'),
          async (value, coding) => {
            const text = Buffer.from(JSON.stringify(value))
            const pack = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }
            const bytes = coding === undefined ? text : pack[coding as 'gzip'](text)
            const { body } = await post(origin, { bytes, coding })
            expect(body).toEqual(JSON.parse(JSON.stringify(value)))
          },
        ),
        { numRuns: 100 },
      )
    })
  })
})
