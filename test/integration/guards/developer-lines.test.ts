import express, { type RequestHandler } from 'express'
import {
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryStore,
  returnUrlGuard,
  type RefusalLine,
} from 'portcullis'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import fc from 'fast-check'
import { APP, listening } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'
import {
  addresses,
  domains,
  get,
  linesOf,
  MISTAKES,
  OPEN,
  ranges,
  urls,
  type Given,
  type Mistake,
} from '../../support/wrong-mounts.ts'

/**
 * The console lines that a developer sees after mounting or calling a guard wrongly. `PRINT_LINES=1` in the environment
 * prints them.
 */

const before = process.env['NODE_ENV']
beforeAll(() => void (process.env['NODE_ENV'] = 'development'))
afterAll(() => void (process.env['NODE_ENV'] = before))

describe('the line that a developer sees', () => {
  it.each(MISTAKES.map((mistake) => [mistake.name, mistake] as const))('%s', async (_name, mistake) => {
    const lines = await linesOf(mistake)
    if (process.env['PRINT_LINES'] !== undefined)
      process.stdout.write(`- ${mistake.name}\n  ${lines.at(-1) ?? '(no line: the request passes)'}\n`)
    if (mistake.line === 'none') {
      expect(lines).toEqual([])
      return
    }
    const [line = ''] = lines
    expect(lines).toHaveLength(1)
    expect(line).toMatch(
      /^portcullis: [a-zA-Z]+ refused request [0-9a-f-]{36}( of app `app-1`)?: ([A-Z_]+), .+ To fix: .+ See portcullis\/docs\/codes\.md#[a-z_]+(?:\n|$)/,
    )
    for (const part of mistake.line)
      expect(line).toEqual(
        typeof part === 'string' ? expect.stringContaining(part) : expect.stringMatching(part),
      )
  })

  it('is not needed for a domain with a trailing slash: the policy is refused, with the correct form', () => {
    const policy = { appId: APP, ...domains('https://shop.example/') }
    expect(() => memoryStore([{ policy }])).toThrow('write `https://shop.example`')
  })
})

const REFUSED = { name: '', policy: ranges('203.0.113.0/24'), mounts: addresses, line: 'none' } as const

/** The console output of requests to a server with these guards. */
async function onConsole(environment: string | undefined, mistake: Omit<Mistake, 'line'>): Promise<string[]> {
  const spy = jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  if (environment === undefined) delete process.env['NODE_ENV']
  else process.env['NODE_ENV'] = environment
  try {
    await linesOf({ ...mistake, line: 'none', mounts: ({ policies }) => mistake.mounts({ policies }) })
    return spy.mock.calls.map((given) => {
      expect(given).toHaveLength(1)
      return String(given[0])
    })
  } finally {
    process.env['NODE_ENV'] = 'development'
    spy.mockRestore()
  }
}

describe('the destination of lines', () => {
  it.each([
    ['unset', undefined, 1],
    ['development', 'development', 1],
    ['staging', 'staging', 1],
    ['test', 'test', 0],
    ['production', 'production', 0],
  ])('NODE_ENV %s: to the console, or nowhere', async (name, environment, count) => {
    // Each kind is printed once, whatever this file has refused before.
    const mounts = (given: Given): unknown[] => [
      ipWhitelist({
        ...given,
        clientAddress: () => {
          throw new Error(name)
        },
      }),
    ]
    const lines = await onConsole(environment, {
      ...REFUSED,
      policy: { ...OPEN, appId: `app-${name}` },
      mounts,
      ask: get('/', { 'x-app-id': `app-${name}` }),
    })
    expect(lines).toHaveLength(count)
  })

  it('a function receives the parts', async () => {
    const lines: RefusalLine[] = []
    await linesOf({
      ...REFUSED,
      mounts: ({ policies }) => [ipWhitelist({ policies, logger: (line) => void lines.push(line) })],
    })
    const [line] = lines
    expect(line).toMatchObject({
      appId: APP,
      guard: 'ipWhitelist',
      mode: 'enforce',
      code: 'ADDRESS_NOT_ALLOWED',
      detail: expect.stringContaining('outside every range'),
      nearest: expect.stringContaining('203.0.113.0/24'),
      help: 'docs/codes.md#address_not_allowed',
      leftOut: 0,
    })
    for (const part of [line?.requestId, line?.detail, line?.nearest, line?.fix, line?.help])
      expect(line?.message).toContain(part)
  })

  it('report mode prints what would be refused', async () => {
    const policy = { ipWhitelist: { mode: 'report', ranges: [] } } as const
    const lines = await linesOf({ ...REFUSED, policy })
    expect(lines).toEqual([expect.stringContaining('ipWhitelist would refuse request')])
  })

  it('a logger that throws or rejects changes no answer', async () => {
    for (const logger of [
      () => {
        throw new Error('full')
      },
      () => Promise.reject(new Error('full')),
      {
        warn: () => {
          throw new Error('full')
        },
      },
    ]) {
      let status = 0
      const ask = async (origin: string): Promise<void> => {
        status = (await fetch(origin, { headers: { 'x-app-id': APP } })).status
      }
      await linesOf({ ...REFUSED, ask, mounts: ({ policies }) => [ipWhitelist({ policies, logger })] })
      expect(status).toBe(403)
    }
  })

  it('refuses an invalid logger', () => {
    const policies = createPolicySource({ store: memoryStore() })
    for (const logger of ['console', {}, { warn: true }, 1])
      expect(() => ipWhitelist({ policies, logger: logger as never })).toThrow('`ipWhitelist.logger`')
    policies.close()
  })

  it('a kind is printed once a minute, with the number of skipped lines, for all routes together', async () => {
    const lines = await linesOf({
      ...REFUSED,
      ask: async (origin) => {
        for (let count = 0; count < 5; count += 1) await get('/')(origin)
        await get('/', { 'x-app-id': 'nobody' })(origin)
      },
    })
    expect(lines.map((line) => /[A-Z_]{8,}/.exec(line)?.[0])).toEqual(['ADDRESS_NOT_ALLOWED', 'APP_UNKNOWN'])
    for (const line of lines)
      expect(line).toContain(' The same refusal is counted, not printed, for one minute. See portcullis/')
  })

  it('another reason or remedy is printed at once, but at most twenty of a kind', async () => {
    const others = [...'bcdefghijklmnopq'].map((letter) => `https://${letter}.example`)
    const named = ['http://a.example', 'https://a.example:8443', 'https://www.a.example', ...others]
    const lines = await linesOf({
      ...REFUSED,
      policy: domains('https://a.example'),
      mounts: (given) => [domainProtect(given)],
      ask: async (origin) => {
        for (const text of [...named, ...named, 'https://t.example', 'https://u.example'])
          await get('/', { origin: text })(origin)
      },
    })
    expect(lines.map((line) => /`Origin` is `([^`]+)`/.exec(line)?.[1])).toEqual([
      ...named,
      'https://t.example',
    ])
    expect(lines.map((line) => line.includes(' Further refusals of this kind are counted'))).toEqual([
      ...named.map(() => false),
      true,
    ])
    expect(lines.at(-1)).toContain('(19 more of this kind were left out)')
  })

  it('says that one line was left out', async () => {
    const lines = await linesOf({
      ...REFUSED,
      policy: domains('https://a.example'),
      mounts: (given) => [domainProtect(given)],
      ask: async (origin) => {
        for (const text of ['https://b.example', 'https://b.example', 'https://c.example'])
          await get('/', { origin: text })(origin)
      },
    })
    expect(lines[1]).toContain(' (1 more of this kind was left out)')
  })

  it('prints the refusals of each app, and each port', async () => {
    const store = memoryStore(
      ['tenant-1', 'tenant-2'].map((appId) => ({ policy: { appId, ...domains('http://localhost:5173') } })),
    )
    const lines = await linesOf({
      ...REFUSED,
      store,
      mounts: (given) => [domainProtect(given)],
      ask: async (origin) => {
        for (let round = 0; round < 2; round += 1) {
          await get('/', { 'x-app-id': 'tenant-1', origin: 'http://localhost:3000' })(origin)
          await get('/', { 'x-app-id': 'tenant-2', origin: 'http://localhost:3000' })(origin)
          await get('/', { 'x-app-id': 'tenant-1', origin: 'http://localhost:8080' })(origin)
        }
      },
    })
    expect(lines).toEqual([
      expect.stringMatching(/of app `tenant-1`: .+`Origin` is `http:\/\/localhost:3000`/),
      expect.stringMatching(/of app `tenant-2`: .+`Origin` is `http:\/\/localhost:3000`/),
      expect.stringMatching(/of app `tenant-1`: .+`Origin` is `http:\/\/localhost:8080`/),
    ])
  })

  it('a stranger gets the same answer as in production', async () => {
    const answers = new Set<string>()
    for (const environment of ['development', 'production', 'test']) {
      const ask = async (origin: string): Promise<void> => {
        const response = await fetch(origin, { headers: { 'x-app-id': APP } })
        answers.add((await response.text()).replace(/[0-9a-f-]{36}/, ''))
      }
      await onConsole(environment, { ...REFUSED, ask })
    }
    expect(answers.size).toBe(1)
  })
})

describe('a logger in production', () => {
  beforeAll(() => void (process.env['NODE_ENV'] = 'production'))
  afterAll(() => void (process.env['NODE_ENV'] = 'development'))

  it.each(MISTAKES.filter(({ line }) => line !== 'none').map((mistake) => [mistake.name, mistake] as const))(
    '%s: the line contains code, app and request id, and nothing of the policy, a person or the request',
    async (_name, mistake) => {
      const [line = ''] = await linesOf(mistake)
      expect(line).toMatch(
        /^portcullis: [a-zA-Z]+ refused request [0-9a-f-]{36}( of app `app-1`)?: [A-Z_]+\. To fix: .+ See portcullis\/docs\/codes\.md#[a-z_]+$/,
      )
      expect(line).not.toMatch(
        /shop\.example|other\.example|203\.0|198\.51|127\.0\.0\.1:|key-|ECONN|the disk|Nearest|\n/,
      )
    },
  )
})

describe('text sent by a caller', () => {
  const HOSTILE = fc.string({ unit: 'binary', maxLength: 60 })
  /** Removes characters that are not allowed in a header: Node accepts all others of Latin-1. */
  const inHeader = (text: string): string =>
    // oxlint-disable-next-line no-control-regex -- characters that a header cannot contain
    Array.from(text, (character) =>
      /[\0-\x08\x0a-\x1f\x7f\u0100-\u{10ffff}]/u.test(character) ? '\u0085' : character,
    )
      .join('')
      .trim()

  it('never reaches the terminal as a control character or as a separate line', async () => {
    const lines: string[] = []
    const policies = createPolicySource({
      store: memoryStore([
        {
          policy: {
            appId: APP,
            ...OPEN,
            ...domains('https://shop.example'),
            ...urls('https://shop.example/app'),
          },
        },
      ]),
    })
    const given = { policies, requestId: () => 'a%s%d' }
    const app = express()
    // A new logger for each request, so that no line is skipped.
    app.use((req, res, next) => {
      const logger = { warn: (line: string) => void lines.push(line) }
      const guards = [
        domainProtect({ ...given, logger, onDeny: (_d, _q, _s, go) => go() }),
        returnUrlGuard({ ...given, logger, returnUrl: (asked) => asked.headers['x-url'] }),
        ipWhitelist({
          ...given,
          logger,
          appId: () => {
            throw new Error(String(req.headers['x-url']))
          },
        }),
      ]
      const guard = guards[Number(req.headers['x-guard'])] as RequestHandler
      guard(req, res, next)
    })
    await listening(app, async (origin) => {
      const port = Number(new URL(origin).port)
      await fc.assert(
        fc.asyncProperty(HOSTILE, fc.nat(2), async (text, guard) => {
          const value = inHeader(text)
          const head = [
            'GET / HTTP/1.1',
            'host: a',
            `x-app-id: ${APP}`,
            `x-guard: ${guard}`,
            `origin: ${value}`,
            `x-url: ${value}`,
          ]
          await exchange(port, `${head.join('\r\n')}\r\nconnection: close\r\n\r\n`)
        }),
        { numRuns: 150 },
      )
    })
    policies.close()
    expect(lines.length).toBeGreaterThan(100)
    for (const line of lines) {
      const [first = '', ...frames] = line.split('\n')
      expect(first).toMatch(/^portcullis: .+ See portcullis\/docs\/codes\.md#[a-z_]+$/)
      for (const frame of frames) expect(frame).toMatch(/^ {4}(?:[A-Z]\w*: | {4}at )/)
      // oxlint-disable-next-line no-control-regex -- characters that must not occur
      expect(line).not.toMatch(/[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/)
    }
  })
})
