import { createServer, type RequestListener, type Server } from 'node:http'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, jest } from '@jest/globals'
import express from 'express'
import {
  auditAccess,
  createPolicySource,
  explain,
  ipWhitelist,
  memoryAuditSink,
  memoryStore,
  type ClientAddressOption,
  type GuardRequest,
  type PolicyInput,
} from 'portcullis'
import type { ClientAddressOptions } from '../../../src/match/client-address.ts'
import { repository, run } from '../../support/commands.ts'
import { compiled } from '../../support/compiled.ts'
import { APP, listening } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const NEAREST = '198.51.100.7'
const LINK_LOCAL = 'fe80::1'
const WRITTEN = '192.0.2.66'
const ANYBODY = { mode: 'enforce', ranges: ['0.0.0.0/0', '::/0'] } as const
const LOOPBACK: ClientAddressOptions = { trustedProxies: ['loopback'], header: 'x-forwarded-for' }

const OFF = 'PORTCULLIS_TRUST_PROXY_OFF'
const ALL = 'PORTCULLIS_TRUST_PROXY_ALL'
const TOO_MANY = 'PORTCULLIS_TRUST_PROXY_TOO_MANY'
const TOO_FEW = 'PORTCULLIS_TRUST_PROXY_TOO_FEW'

interface Watch {
  looks: number
  told: Set<string>
}
const watch = (globalThis as { [key: symbol]: unknown })[Symbol.for('portcullis.addressWarnings')] as Watch

const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)

beforeEach(() => {
  watch.looks = 1000
  watch.told.clear()
  warned.mockClear()
})

function codes(): unknown[] {
  return warned.mock.calls.map(([, options]) => (options as { code?: unknown } | undefined)?.code)
}

interface Setting {
  /** The value of `trust proxy`. Not set if undefined. */
  trustProxy?: unknown
  clientAddress?: ClientAddressOption
  ipWhitelist?: PolicyInput['ipWhitelist']
}

/** An app that answers admitted callers with 200, the address and its source. */
function gateway({ trustProxy, clientAddress, ipWhitelist: section = ANYBODY }: Setting): express.Express {
  const app = express()
  if (trustProxy !== undefined) app.set('trust proxy', trustProxy)
  return app.use(guardOf(section, clientAddress), answer as express.RequestHandler)
}

function guardOf(
  section: PolicyInput['ipWhitelist'],
  clientAddress?: ClientAddressOption,
): express.RequestHandler {
  const store = memoryStore([{ policy: { appId: APP, ipWhitelist: section } }])
  return ipWhitelist({ policies: createPolicySource({ store }), clientAddress }) as express.RequestHandler
}

function answer({ portcullis }: GuardRequest, res: { end(text: string): unknown }): void {
  res.end(`${portcullis?.address} by ${String(portcullis?.decisions.at(-1)?.evidence['source'])}`)
}

/** Makes every caller appear to have this address. */
function from(address: string, app: express.Express): RequestListener {
  return (req, res) => {
    Object.defineProperty(req.socket, 'remoteAddress', { value: address })
    app(req, res)
  }
}

/** Sends a request with these header lines. Resolves with the body of a 200, or with another status. */
function ask(listener: RequestListener, ...lines: string[]): Promise<string> {
  return listening(listener, (origin) => send(Number(new URL(origin).port), lines))
}

async function send(port: number, lines: readonly string[]): Promise<string> {
  return read(await exchange(port, requestOf(lines)))
}

function requestOf(lines: readonly string[]): string {
  return ['GET / HTTP/1.1', 'Host: x', 'Connection: close', `x-app-id: ${APP}`, ...lines, '', ''].join('\r\n')
}

function read(response: string): string {
  const [head = '', body = ''] = response.split('\r\n\r\n')
  const status = head.slice(9, 12)
  return status === '200' ? body.replace(/^[0-9a-f]+\r\n|\r\n0$/g, '').trim() : status
}

describe('the client address', () => {
  const cases: readonly (readonly [
    what: string,
    setting: Setting,
    lines: readonly string[],
    answer: string,
  ])[] = [
    ['the socket, without a setting', {}, [`X-Forwarded-For: ${WRITTEN}`], '127.0.0.1 by req.ip'],
    ['`req.ip`', { trustProxy: 'loopback' }, [`X-Forwarded-For: ${NEAREST}`], `${NEAREST} by req.ip`],
    [
      'the option',
      { clientAddress: LOOPBACK },
      [`X-Forwarded-For: ${NEAREST}`],
      `${NEAREST} by x-forwarded-for`,
    ],
    [
      'the option, whatever `trust proxy` is',
      { trustProxy: true, clientAddress: LOOPBACK },
      [`X-Forwarded-For: ${WRITTEN}, ${NEAREST}`],
      `${NEAREST} by x-forwarded-for`,
    ],
    [
      'the last line of a repeated header',
      { clientAddress: LOOPBACK },
      [`X-Forwarded-For: ${WRITTEN}`, `x-forwarded-for: ${NEAREST}`],
      `${NEAREST} by x-forwarded-for`,
    ],
    [
      'the last line of a repeated header, by `req.ip`',
      { trustProxy: 'loopback' },
      [`X-Forwarded-For: ${WRITTEN}`, `x-forwarded-for: ${NEAREST}`],
      `${NEAREST} by req.ip`,
    ],
    [
      'RFC 7239',
      { clientAddress: { ...LOOPBACK, header: 'forwarded' } },
      [`Forwarded: for=${WRITTEN}`, `Forwarded: for="[2001:db8::7]:443";proto=https`],
      '2001:db8::7 by forwarded',
    ],
    [
      'IPv4 in an IPv6 spelling',
      { clientAddress: LOOPBACK },
      ['X-Forwarded-For: ::ffff:198.51.100.7, ::FFFF:7f00:1'],
      `${NEAREST} by x-forwarded-for`,
    ],
    [
      'with a port, which is left away',
      { clientAddress: LOOPBACK },
      [`X-Forwarded-For: ${WRITTEN}, ${NEAREST}:51820`],
      `${NEAREST} by x-forwarded-for`,
    ],
    [
      'any header that stands once',
      { clientAddress: { ...LOOPBACK, header: 'Fly-Client-IP' } },
      [`fly-client-ip: ${NEAREST}`],
      `${NEAREST} by fly-client-ip`,
    ],
    [
      'nobody: a header that must stand once and comes twice',
      { clientAddress: { ...LOOPBACK, header: 'fly-client-ip' } },
      [`fly-client-ip: ${NEAREST}`, `Fly-Client-IP: ${NEAREST}`],
      '403',
    ],
    ['a function', { clientAddress: () => NEAREST }, [], `${NEAREST} by clientAddress`],
    [
      'a function that reads the request',
      { clientAddress: (req) => String(req.headers['x-mine']) },
      [`X-Mine: 2001:DB8::7`],
      '2001:db8::7 by clientAddress',
    ],
    [
      'a function that names the peer',
      { clientAddress: ({ socket }) => socket.remoteAddress },
      [],
      '127.0.0.1 by clientAddress',
    ],
    // No address, so denied, even though the list contains every address.
    ...[
      undefined,
      null,
      '',
      ' ',
      'unknown',
      `${NEAREST}:443`,
      ` ${NEAREST}`,
      `${NEAREST}, ${NEAREST}`,
      'fe80::1%eth0',
      '010.0.0.1',
      7,
      [NEAREST],
      { toString: () => NEAREST },
    ].map(
      (value) =>
        [
          `nobody: a function that returns ${JSON.stringify(value)}`,
          { clientAddress: (() => value) as () => string },
          [],
          '403',
        ] as const,
    ),
    [
      'nobody: a function that returns a promise',
      { clientAddress: (() => Promise.resolve(NEAREST)) as never },
      [],
      '503',
    ],
    [
      'nobody: a function whose promise rejects',
      { clientAddress: (() => Promise.reject(new Error('x'))) as never },
      [],
      '503',
    ],
    [
      'nobody: a function that throws',
      {
        clientAddress: () => {
          throw new Error('x')
        },
      },
      [],
      '503',
    ],
    ['nobody: no header', { clientAddress: LOOPBACK }, [], '403'],
    ['nobody: another header', { clientAddress: LOOPBACK }, [`Forwarded: for=${NEAREST}`], '403'],
    ['nobody: a name with underscores', { clientAddress: LOOPBACK }, [`X_Forwarded_For: ${NEAREST}`], '403'],
    ['nobody: a name with a blank', { clientAddress: LOOPBACK }, [`X-Forwarded-For : ${NEAREST}`], '400'],
    [
      'nobody: a folded line',
      { clientAddress: LOOPBACK },
      [`X-Forwarded-For: ${NEAREST},`, ` ${NEAREST}`],
      '400',
    ],
    ['nobody: a bare CR', { clientAddress: LOOPBACK }, [`X-Forwarded-For: ${NEAREST}\rX: y`], '400'],
    ['nobody: a NUL', { clientAddress: LOOPBACK }, [`X-Forwarded-For: ${NEAREST}\0`], '400'],
    ['nobody: a no-break space', { clientAddress: LOOPBACK }, [`X-Forwarded-For: ${NEAREST}\u00a0`], '403'],
    [
      'nobody: an empty last line',
      { clientAddress: LOOPBACK },
      [`X-Forwarded-For: ${NEAREST}`, 'X-Forwarded-For:'],
      '403',
    ],
    ['nobody: `unknown`', { clientAddress: LOOPBACK }, [`X-Forwarded-For: ${NEAREST}, unknown`], '403'],
    ['nobody: a zone', { clientAddress: LOOPBACK }, ['X-Forwarded-For: fe80::1%eth0'], '403'],
    [
      'nobody: a port that is too large',
      { clientAddress: LOOPBACK },
      [`X-Forwarded-For: ${NEAREST}:65536`],
      '403',
    ],
    ['nobody: junk in `req.ip`', { trustProxy: 'loopback' }, ['X-Forwarded-For: a'], '403'],
    ['nobody: a zone in `req.ip`', { trustProxy: 'loopback' }, ['X-Forwarded-For: fe80::1%eth0'], '403'],
    ['nobody: a port in `req.ip`', { trustProxy: 'loopback' }, [`X-Forwarded-For: ${NEAREST}:443`], '403'],
  ]
  for (const [what, setting, lines, expected] of cases) {
    it(`is ${what}`, async () => {
      expect(await ask(gateway(setting), ...lines)).toBe(expected)
    })
  }

  it('cannot be hidden or chosen by naming the header in Connection', async () => {
    const lines = ['Connection: x-forwarded-for', `X-Forwarded-For: ${WRITTEN}, ${NEAREST}`]
    expect(await ask(gateway({ clientAddress: LOOPBACK }), ...lines)).toBe(`${NEAREST} by x-forwarded-for`)
  })

  it('is read from 10,000 hops', async () => {
    const server = createServer({ maxHeaderSize: 1 << 20 }, gateway({ clientAddress: LOOPBACK }))
    const hops = (last: string): string[] => [
      `X-Forwarded-For: ${NEAREST}, ${`${last}, `.repeat(9_999)}127.0.0.2`,
    ]
    await withServer(server, 0, async (port) => {
      expect(await send(port, hops('127.0.0.1'))).toBe(`${NEAREST} by x-forwarded-for`)
      expect(await send(port, hops('junk'))).toBe('403')
    })
  })
})

describe('header lines that Node drops', () => {
  // The caller sends its own line and fillers, so that the line of the proxy exceeds the limit.
  const smuggled = (fillers: number): string[] => [
    `X-Forwarded-For: ${WRITTEN}`,
    ...Array.from({ length: fillers }, () => 'a:'),
    `X-Forwarded-For: ${NEAREST}`,
  ]
  /** Later versions of Node answer 431 instead of dropping lines. */
  const REFUSED = /^(?:403|431)$/
  const settings: readonly (readonly [string, Setting])[] = [
    ['the option', { clientAddress: LOOPBACK }],
    ['`req.ip`', { trustProxy: 'loopback' }],
  ]
  for (const [what, setting] of settings) {
    it(`give no address by ${what}, and not the one that the caller wrote`, async () => {
      expect(await ask(gateway(setting), ...smuggled(1_000))).toMatch(REFUSED)
      expect(await ask(gateway(setting), ...smuggled(900))).toMatch(NEAREST)
    })

    it(`give no address by ${what} if the server has its own limit`, async () => {
      const server = createServer(gateway(setting))
      await withServer(server, 0, async (port) => {
        server.maxHeadersCount = 50
        expect(await send(port, smuggled(60))).toMatch(REFUSED)
        expect(await send(port, smuggled(40))).toMatch(NEAREST)
        server.maxHeadersCount = 0 // no limit
        expect(await send(port, smuggled(1_500))).toMatch(NEAREST)
      })
    })
  }

  it('do not matter for an untrusted peer', async () => {
    const clientAddress: ClientAddressOptions = { trustedProxies: ['10.0.0.0/8'], header: 'x-forwarded-for' }
    expect(await ask(gateway({ clientAddress }), ...smuggled(1_000))).toMatch(
      /^(?:127\.0\.0\.1 by socket|431)$/,
    )
  })
})

describe('other sockets', () => {
  it('a Unix socket has no address, so nobody is admitted, whatever the header says', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'portcullis-'))
    const path = join(folder, 'socket')
    try {
      for (const setting of [{}, { trustProxy: 'loopback' }, { clientAddress: LOOPBACK }]) {
        await withServer(createServer(gateway(setting)), path, async () => {
          expect(await overSocket({ path }, [`X-Forwarded-For: ${NEAREST}`])).toBe('403')
        })
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('a Unix socket is a proxy if it is listed as one, even while the server closes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'portcullis-'))
    const path = join(folder, 'socket')
    const lines = [`X-Forwarded-For: ${WRITTEN}, ${NEAREST}`]
    const clientAddress: ClientAddressOptions = { ...LOOPBACK, trustedProxies: ['unix'] }
    try {
      const app = gateway({ clientAddress })
      await withServer(createServer(app), path, async () => {
        expect(await overSocket({ path }, lines)).toBe(`${NEAREST} by x-forwarded-for`)
        expect(await overSocket({ path }, [])).toBe('403')
      })
      let closing: Server | undefined
      const server = createServer((req, res) => {
        closing?.close()
        app(req, res)
      })
      await withServer(server, path, async () => {
        expect(await overSocket({ path }, lines)).toBe(`${NEAREST} by x-forwarded-for`)
        closing = server
        expect(await overSocket({ path }, lines)).toBe(`${NEAREST} by x-forwarded-for`)
        closing = undefined
        await new Promise<void>((resolve) => server.listen(path, resolve))
      })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('a TCP caller that has disconnected is not mistaken for a Unix socket', async () => {
    const clientAddress: ClientAddressOptions = { ...LOOPBACK, trustedProxies: ['unix'] }
    const guard = guardOf(ANYBODY, clientAddress)
    const passed: boolean[] = []
    const server = createServer((req, res) => {
      Object.defineProperty(req.socket, 'remoteAddress', { value: undefined })
      guard(req as express.Request, res as express.Response, () => passed.push(true))
      if (passed.length > 0) res.end()
    })
    await withServer(server, 0, async (port) => {
      expect(await send(port, [`X-Forwarded-For: ${NEAREST}`])).toBe('403')
      expect(passed).toEqual([])
    })
  })

  it('a function is called once per request for all guards that share it, and may throw without harm', async () => {
    let asked = 0
    let address = (): string => NEAREST
    const clientAddress = (): string => {
      asked += 1
      return address()
    }
    const policies = createPolicySource({
      store: memoryStore([
        {
          policy: {
            appId: APP,
            ipWhitelist: ANYBODY,
            auditAccess: { mode: 'enforce', onSinkFailure: 'allow' },
          },
        },
      ]),
    })
    const sink = memoryAuditSink()
    const audit = auditAccess({ policies, sink, clientAddress }) as express.RequestHandler
    const guard = ipWhitelist({ policies, clientAddress }) as express.RequestHandler
    const app = express()
      .get('/audit', audit, answer as express.RequestHandler)
      .use(audit, guard, answer as express.RequestHandler)
    await listening(app, async (origin) => {
      const get = async (path: string): Promise<number> =>
        (await fetch(origin + path, { headers: { 'x-app-id': APP } })).status
      expect([await get('/'), asked]).toEqual([200, 1])
      address = () => {
        throw new Error('of the application')
      }
      expect([await get('/'), asked]).toEqual([503, 2])
      expect([await get('/audit'), asked]).toEqual([200, 3])
    })
    while (sink.events().length < 3) await new Promise((resolve) => setImmediate(resolve))
    expect(sink.events().map((event) => event.kind === 'operation' && event.address !== undefined)).toEqual([
      true,
      false,
      false,
    ])
  })

  it('an IPv4 caller on an IPv6 socket is an IPv4 caller', async () => {
    const clientAddress: ClientAddressOptions = { trustedProxies: ['127.0.0.1'], header: 'x-forwarded-for' }
    const server = createServer(gateway({ clientAddress }))
    await withServer(server, { port: 0, host: '::' }, async (port) => {
      expect(await send(port, [`X-Forwarded-For: ${NEAREST}`])).toBe(`${NEAREST} by x-forwarded-for`)
    })
  })

  // Not every machine has a link-local address, so the loopback sockets get one in the spelling of Node.
  describe('a link-local peer has no zone of this machine', () => {
    const rows: [what: string, setting: Setting, expected: string][] = [
      ['as a peer', {}, LINK_LOCAL],
      [
        'as a peer that is not a trusted proxy',
        { clientAddress: { ...LOOPBACK, trustedProxies: ['10.0.0.0/8'] } },
        LINK_LOCAL,
      ],
      ['as a proxy of Express', { trustProxy: 'linklocal' }, NEAREST],
      ['as a proxy by name', { clientAddress: { ...LOOPBACK, trustedProxies: ['linklocal'] } }, NEAREST],
      ['as a proxy by range', { clientAddress: { ...LOOPBACK, trustedProxies: ['fe80::/10'] } }, NEAREST],
    ]
    for (const [what, setting, expected] of rows) {
      for (const zone of ['', '%eth0', '%2']) {
        it(`${what}, with the zone "${zone}"`, async () => {
          const server = createServer(gateway(setting))
          server.on('connection', (socket) =>
            Object.defineProperty(socket, 'remoteAddress', { value: `${LINK_LOCAL}${zone}` }),
          )
          await withServer(server, { port: 0, host: '127.0.0.1' }, async (port) => {
            const said = await send(port, [`X-Forwarded-For: ${NEAREST}`])
            expect(said.split(' ')[0]).toBe(expected)
          })
        })
      }
    }
  })
})

describe('a warning', () => {
  const XFF = 'X-Forwarded-For'
  const option = (...trustedProxies: string[]): Setting => ({
    clientAddress: { ...LOOPBACK, trustedProxies },
  })

  // The peer is always 127.0.0.1, a local address like that of most proxies.
  const cases: readonly (readonly [setting: Setting, line: string | undefined, code: string | undefined])[] =
    [
      [{}, undefined, undefined],
      [{}, `${XFF}: ${NEAREST}`, OFF],
      [{}, `Forwarded: for=${NEAREST}`, OFF],
      [{}, `X-Real-IP: ${NEAREST}`, OFF],
      [{}, `CF-Connecting-IP: ${NEAREST}`, OFF],
      [{}, `True-Client-IP: ${NEAREST}`, OFF],
      [{}, `X-Forwarded-Proto: https`, undefined],
      [{ trustProxy: false }, `${XFF}: junk`, OFF],
      [{ trustProxy: 0 }, `${XFF}: ${NEAREST}`, OFF],
      [{ trustProxy: true }, undefined, ALL],
      [{ trustProxy: true }, `${XFF}: ${NEAREST}`, ALL],
      [{ trustProxy: 'loopback' }, undefined, undefined],
      [{ trustProxy: 'loopback' }, `${XFF}: ${NEAREST}`, undefined],
      [{ trustProxy: 'loopback' }, `${XFF}: ${WRITTEN}, ${NEAREST}`, undefined],
      [{ trustProxy: 'loopback' }, `${XFF}: junk, ${NEAREST}`, undefined],
      [{ trustProxy: 'loopback' }, `${XFF}: 10.0.0.9, ${NEAREST}`, undefined],
      [{ trustProxy: 1 }, `${XFF}: ${NEAREST}`, undefined],
      // Clients in an intranet may have private addresses.
      [{ trustProxy: 1 }, `${XFF}: 10.0.0.9`, undefined],
      [{ trustProxy: 'loopback' }, `${XFF}: 10.0.0.9`, undefined],
      [option('loopback'), `${XFF}: 10.0.0.9`, undefined],
      [option('loopback'), `${XFF}: 10.0.0.8, 10.0.0.9`, undefined],
      // A caller on this machine, through the proxy on this machine.
      [{ trustProxy: 'loopback' }, `${XFF}: 127.0.0.1`, undefined],
      [option('loopback'), `${XFF}: 127.0.0.1`, undefined],
      [{ trustProxy: 'loopback, uniquelocal' }, `${XFF}: 10.0.0.9`, TOO_MANY],
      [{ trustProxy: 'loopback, uniquelocal' }, `${XFF}: ${NEAREST}, 10.0.0.9`, undefined],
      [{ trustProxy: 2 }, `${XFF}: ${NEAREST}`, TOO_MANY],
      [{ trustProxy: 2 }, `${XFF}: 10.0.0.9, ${NEAREST}`, TOO_MANY],
      [{ trustProxy: 2 }, `${XFF}: 192.0.2.1, 10.0.0.9, ${NEAREST}`, TOO_MANY],
      [{ trustProxy: (_: string, hop: number) => hop < 2 }, `${XFF}: ${NEAREST}`, undefined],
      [{ trustProxy: (_: string, hop: number) => hop < 2 }, `${XFF}: 10.0.0.9, ${NEAREST}`, TOO_MANY],
      [option('loopback', 'private'), `${XFF}: 10.0.0.9`, TOO_MANY],
      [option('loopback', NEAREST), `${XFF}: 10.0.0.9, ${NEAREST}`, TOO_MANY],
      [option('loopback', NEAREST), `${XFF}: ${WRITTEN}, ${NEAREST}`, undefined],
      [{ trustProxy: '10.0.0.1' }, `${XFF}: ${NEAREST}`, TOO_FEW],
      [{ trustProxy: 'loopback' }, `${XFF}: ${NEAREST}, 10.0.0.9`, TOO_FEW],
      [{ trustProxy: 1 }, `${XFF}: ${NEAREST}, 10.0.0.9`, TOO_FEW],
      [option('10.0.0.1'), `${XFF}: ${NEAREST}`, TOO_FEW],
      [option('10.0.0.1'), `Forwarded: for=${NEAREST}`, undefined],
      [option('loopback'), `${XFF}: ${NEAREST}, 10.0.0.9`, TOO_FEW],
      [option('loopback'), `${XFF}: ${NEAREST}, unknown, 100.64.0.9`, TOO_FEW],
      [option('loopback'), `${XFF}: junk, 10.0.0.9`, undefined],
      // Denied, with a reason in the decision.
      [option('loopback'), undefined, undefined],
      [option('loopback'), `${XFF}: junk`, undefined],
      // The address does not come from Express.
      [{ trustProxy: true, ...option('loopback') }, `${XFF}: ${NEAREST}`, undefined],
    ]
  for (const [setting, line, code] of cases) {
    const { trustProxy = 'left out', clientAddress } = setting
    const trust =
      clientAddress === undefined || typeof clientAddress === 'function'
        ? `\`trust proxy\` ${String(trustProxy)}`
        : `proxies ${clientAddress.trustedProxies.join(' ')}`
    it(`${code ?? 'none'} for ${line ?? 'no header'} with ${trust}`, async () => {
      await ask(gateway(setting), ...(line === undefined ? [] : [line]))
      expect(codes()).toEqual(code === undefined ? [] : [code])
    })
  }

  it('is not printed for a public peer that sends the header', async () => {
    await ask(from(NEAREST, gateway({})), `${XFF}: ${WRITTEN}`)
    expect(codes()).toEqual([])
  })

  it('is not printed for a trusted peer without the header', async () => {
    await ask(from('10.0.0.1', gateway({ trustProxy: 'uniquelocal' })), `${XFF}: `)
    expect(codes()).toEqual([])
  })

  it('is not printed for an artificial request', () => {
    const headers = { 'x-forwarded-for': NEAREST }
    const document = { appId: APP, ipWhitelist: ANYBODY }
    const { decisions } = explain(document, { url: 'https://gateway.example/', headers, address: '10.0.0.1' })
    expect(decisions).toContainEqual(expect.objectContaining({ guard: 'ipWhitelist', effect: 'allow' }))
    expect(codes()).toEqual([])
  })

  it('depends on the setting of the app in which the guard is mounted', async () => {
    const parent = express().set('trust proxy', true)
    const inheriting = express().use(guardOf(ANYBODY))
    await ask(parent.use(inheriting))
    expect(codes()).toEqual([ALL])
    watch.told.clear()
    warned.mockClear()
    const own = express().set('trust proxy', 'loopback').use(guardOf(ANYBODY))
    await ask(express().set('trust proxy', true).use(own), `${XFF}: ${NEAREST}`)
    expect(codes()).toEqual([])
  })

  it('is printed without Express too', async () => {
    const guard = guardOf(ANYBODY) as unknown as (req: unknown, res: unknown, next: () => void) => void
    const listener: RequestListener = (req, res) => guard(req, res, () => answer(req, res))
    expect(await ask(listener)).toBe('127.0.0.1 by socket')
    expect(codes()).toEqual([])
    expect(await ask(listener, `${XFF}: ${NEAREST}`)).toBe('127.0.0.1 by socket')
    expect(codes()).toEqual([OFF])
  })

  it('has a type, a code, advice and a heading in docs/codes.md, and nothing that a caller sent', async () => {
    await ask(gateway({}), `${XFF}: ${NEAREST}`)
    await ask(gateway({ trustProxy: true }), `${XFF}: ${NEAREST}`)
    await ask(gateway({ trustProxy: 2 }), `${XFF}: ${NEAREST}`)
    await ask(gateway(option('10.0.0.1')), `${XFF}: ${NEAREST}`)
    expect(codes()).toEqual([OFF, ALL, TOO_MANY, TOO_FEW])
    for (const [message, options] of warned.mock.calls) {
      expect(options).toMatchObject({
        type: 'PortcullisWarning',
        detail: expect.stringMatching(
          /^.+\. See portcullis\/docs\/codes\.md#portcullis_trust_proxy_[a-z_]+$/,
        ),
      })
      expect(JSON.stringify([message, options])).not.toMatch(/[0-9]+\.[0-9]+\./)
    }
  })

  it.each([
    [option('loopback'), 'Add the subnets of all your proxies to `clientAddress.trustedProxies`. '],
    [{ trustProxy: 'loopback' }, 'Set `trust proxy` to the subnets of all your proxies. '],
  ])('names the setting that is in use for a proxy that is not trusted (%#)', async (setting, advice) => {
    await ask(gateway(setting), `${XFF}: ${NEAREST}, 10.0.0.9`)
    expect(codes()).toEqual([TOO_FEW])
    expect(warned.mock.calls[0]?.[1]).toMatchObject({ detail: expect.stringContaining(advice) })
  })

  it('is printed once per code, and only the first requests with a header are examined', async () => {
    const app = gateway({ trustProxy: 'loopback' })
    await listening(app, async (origin) => {
      const port = Number(new URL(origin).port)
      for (let count = 0; count < 3; count += 1) await send(port, [`${XFF}: ${NEAREST}, 10.0.0.9`])
      expect(codes()).toEqual([TOO_FEW])
      for (let count = 0; count < 3; count += 1) await send(port, [])
      expect(watch.looks).toBe(997)
      watch.looks = 1
      watch.told.clear()
      await send(port, [`${XFF}: ${NEAREST}`])
      await send(port, [`${XFF}: ${NEAREST}, 10.0.0.9`])
      expect(codes()).toEqual([TOO_FEW])
    })
  })
})

it('a warning is printed once for the operator, and contains nothing that a caller sent', async () => {
  const program = compiled('test/support/proxied-process.ts')
  const { output } = await run(process.execPath, [program, require.resolve('express')])
  expect(
    output.match(/\[PORTCULLIS_TRUST_PROXY_OFF\] PortcullisWarning: There seems to be an undeclared proxy/g),
  ).toHaveLength(1)
  expect(output).toContain('portcullis/docs/codes.md#portcullis_trust_proxy_off')
  expect(output).not.toContain('203.0.113.77')
  const page = await readFile(join(repository, 'docs/codes.md'), 'utf8')
  for (const code of [OFF, ALL, TOO_MANY, TOO_FEW]) expect(page).toContain(`\n### ${code}\n`)
})

async function withServer(
  server: Server,
  where: number | string | { port: number; host: string },
  run: (port: number) => Promise<void>,
): Promise<void> {
  await new Promise<void>((resolve) => server.listen(where, resolve))
  const address = server.address()
  try {
    await run(typeof address === 'object' && address !== null ? address.port : 0)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Like `send`, over any socket. */
function overSocket(
  where: { path: string } | { port: number; host: string },
  lines: readonly string[],
): Promise<string> {
  return new Promise((resolve, reject) => {
    let response = ''
    const socket = connect(where, () => socket.write(requestOf(lines)))
    socket.on('data', (chunk) => (response += String(chunk)))
    socket.on('error', reject)
    socket.on('close', () => resolve(read(response)))
  })
}
