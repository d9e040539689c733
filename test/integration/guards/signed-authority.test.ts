import type { AddressInfo } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { ConfigError, createPolicySource, memoryNonces, memoryStore, serverOnly } from 'portcullis'
import type { RefusalLine, RefusalLogger } from '../../../src/http/console-line.ts'
import type { AuthorityOption } from '../../../src/http/request/authority.ts'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const SECTIONS = { serverOnly: { mode: 'enforce' } } as const
const signer = { keyId: KEY.id, secret: KEY.secret }

/** Signs for one URL, and sends with these header lines and this target. */
async function send(
  authority: AuthorityOption | undefined,
  {
    url,
    hosts,
    target,
    lines = [],
    trustProxy = false,
    logger,
  }: {
    url: string
    hosts: readonly string[]
    target?: string
    lines?: string[]
    trustProxy?: boolean
    logger?: RefusalLogger
  },
): Promise<number> {
  const { app } = protectedApp(SECTIONS, (policies) => [
    serverOnly({ policies, nonces: memoryNonces(), authority, logger }),
  ])
  app.set('trust proxy', trustProxy)
  const { pathname } = new URL(url)
  return listening(app, async (_origin, server) => {
    const headers = await signRequest({ method: 'GET', url, headers: { 'x-app-id': APP } }, signer)
    const head = [
      ...hosts.map((host) => `Host: ${host}`),
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ...lines,
      'Connection: close',
    ]
    const text = `GET ${target ?? pathname} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n`
    const answer = await exchange((server.address() as AddressInfo).port, text)
    return Number(answer.slice(9, 12))
  })
}

const PUBLIC = 'https://gateway.example/a'
const LIST = ['https://gateway.example', 'http://other.example:8080']
const forwarded = (req: { headers: Record<string, unknown> }) => req.headers['x-public-origin'] as string

describe('@authority', () => {
  it.each<[string, AuthorityOption, code: string, detail: string, fix: RegExp]>([
    [
      'a function that returns a host',
      () => 'gw.example',
      'OPTION_FAILED',
      "the `authority` option failed with TypeError: it returned `gw.example`, which is not an origin such as `https://gateway.example`; write `'https://gw.example'`",
      /^correct the option/,
    ],
    [
      'a function that returns a slash too much',
      () => 'https://gw.example/',
      'OPTION_FAILED',
      "the `authority` option failed with TypeError: it returned `https://gw.example/`, which is not an origin such as `https://gateway.example`; write `'https://gw.example'`",
      /^correct the option/,
    ],
    [
      'a function that returns null',
      () => null as never,
      'OPTION_FAILED',
      'the `authority` option failed with TypeError: it returned a value of type object, which is not an origin such as `https://gateway.example`',
      /^correct the option/,
    ],
    [
      'a function that returns nothing',
      () => undefined,
      'SIGNATURE_INVALID',
      'the `authority` option returned undefined for this request',
      /^let the function in `authority` return the origin/,
    ],
    [
      'a list without the host',
      LIST,
      'SIGNATURE_INVALID',
      '`Host` is `called.example:81`, which the origins in `authority` do not include',
      /^add the origin that callers use/,
    ],
  ])('developers read the mistake of %s', async (_what, option, code, detail, fix) => {
    const lines: RefusalLine[] = []
    const sent = {
      url: 'http://called.example:81/a',
      hosts: ['called.example:81'],
      logger: (line: RefusalLine) => lines.push(line),
    }
    await send(option, sent)
    expect(lines).toEqual([expect.objectContaining({ code, fix: expect.stringMatching(fix) })])
    expect(lines[0]?.detail?.split('; key')[0]).toBe(detail)
  })

  const cases: [string, AuthorityOption | undefined, Parameters<typeof send>[1], number][] = [
    ['the Host that arrives', undefined, { url: PUBLIC, hosts: ['gateway.example'] }, 200],
    ['in other case', undefined, { url: PUBLIC, hosts: ['Gateway.EXAMPLE'] }, 200],
    ['another Host', undefined, { url: PUBLIC, hosts: ['internal:3000'] }, 401],
    ['not X-Forwarded-Host', undefined, { url: PUBLIC, hosts: ['internal:3000'], lines: ['X-Forwarded-Host: gateway.example'] }, 401],
    ['not X-Forwarded-Host, even where Express trusts the proxy', undefined, { url: PUBLIC, hosts: ['internal:3000'], lines: ['X-Forwarded-Host: gateway.example'], trustProxy: true }, 401],
    ['the Host, whatever X-Forwarded-Host says', undefined, { url: PUBLIC, hosts: ['gateway.example'], lines: ['X-Forwarded-Host: evil.example'], trustProxy: true }, 200],
    ['two Host lines', undefined, { url: PUBLIC, hosts: ['gateway.example', 'gateway.example'] }, 401],
    ['an absolute target with the same authority', undefined, { url: PUBLIC, hosts: ['gateway.example'], target: PUBLIC }, 401],
    ['an absolute target with another authority', undefined, { url: PUBLIC, hosts: ['gateway.example'], target: 'http://evil.example/a' }, 401],
    ['one that is known, behind a proxy that writes another Host', 'https://gateway.example', { url: PUBLIC, hosts: ['internal:3000'] }, 200],
    ['one that is known, but signed for another', 'https://gateway.example', { url: 'https://internal:3000/a', hosts: ['internal:3000'] }, 401],
    ['one that is known, in another port', 'https://gateway.example:8443', { url: PUBLIC, hosts: ['gateway.example'] }, 401],
    ['one that is known, and two Host lines', 'https://gateway.example', { url: PUBLIC, hosts: ['a', 'b'] }, 401],
    ['one that is known, and an absolute target', 'https://gateway.example', { url: PUBLIC, hosts: ['gateway.example'], target: PUBLIC }, 401],
    ['a listed Host', LIST, { url: PUBLIC, hosts: ['gateway.example'] }, 200],
    ['a listed Host with its default port', LIST, { url: PUBLIC, hosts: ['gateway.example:443'] }, 200],
    ['a listed Host with the other default port', LIST, { url: 'https://gateway.example:80/a', hosts: ['gateway.example:80'] }, 401],
    ['another listed Host', LIST, { url: 'http://other.example:8080/a', hosts: ['other.example:8080'] }, 200],
    ['a listed Host, signed for another listed one', LIST, { url: PUBLIC, hosts: ['other.example:8080'] }, 401],
    ['a Host that is not listed', LIST, { url: 'http://evil.example/a', hosts: ['evil.example'] }, 401],
    ['what a function says', forwarded, { url: PUBLIC, hosts: ['internal'], lines: ['X-Public-Origin: https://gateway.example'] }, 200],
    ['what a function says, which is no origin', forwarded, { url: PUBLIC, hosts: ['gateway.example'], lines: ['X-Public-Origin: gateway.example'] }, 503],
    ['a function that says nothing', forwarded, { url: PUBLIC, hosts: ['gateway.example'] }, 401],
    ['a function that throws', () => { throw new Error('no') }, { url: PUBLIC, hosts: ['gateway.example'] }, 503],
  ] // prettier-ignore
  for (const [what, option, sent, status] of cases) {
    it(`${what}: ${status}`, async () => {
      expect(await send(option, sent)).toBe(status)
    })
  }

  it.each([
    'gateway.example',
    'https://gateway.example/',
    'https://gateway.example:443',
    'HTTPS://gateway.example',
    'ftp://gateway.example',
    'null',
    '',
    [],
    ['gateway.example'],
    ['https://gateway.example', 'http://gateway.example'],
    true,
  ])('%j is refused at construction', (authority) => {
    const policies = createPolicySource({ store: memoryStore() })
    const build = () => serverOnly({ policies, nonces: memoryNonces(), authority: authority as string })
    expect(build).toThrow(ConfigError)
    expect(build).toThrow(/`serverOnly.authority` must be an origin like/)
  })
})
