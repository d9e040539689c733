import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { allow, deny } from '../../../../src/decision.ts'
import { createContext } from '../../../../src/http/request/context.ts'
import { writeCors } from '../../../../src/http/response/cors.ts'
import type { CorsSettings } from '../../../../src/policy/cors.ts'

const ORIGIN = 'https://example.org'
const PREFLIGHT = { origin: ORIGIN, 'access-control-request-method': 'PUT' }

interface Case {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Headers that other middleware has written before. */
  readonly before?: Readonly<Record<string, string | string[]>>
  readonly settings?: CorsSettings | 'refused'
  readonly effect?: 'allow' | 'deny'
}

function written({ method = 'GET', headers = { origin: ORIGIN }, before = {}, settings = {}, effect }: Case) {
  const req = Object.assign(new IncomingMessage(new Socket()), { method, url: '/', headers })
  const res = new ServerResponse(req)
  for (const [name, value] of Object.entries(before)) res.setHeader(name, value)
  const decision =
    (effect ?? (settings === 'refused' ? 'deny' : 'allow')) === 'deny'
      ? deny('domainProtect', 'enforce', 'ORIGIN_NOT_ALLOWED', '')
      : allow('domainProtect', 'enforce', '')
  const outcome = settings === 'refused' ? undefined : { origin: ORIGIN, settings }
  const answered = writeCors({ decision, outcome }, createContext(req), res)
  const { 'content-length': _, ...sent } = res.getHeaders()
  return { answered, status: res.statusCode, headers: { ...sent } }
}

const ALLOWED = { 'access-control-allow-origin': ORIGIN }
const VARY_PREFLIGHT = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'

describe('the headers for a decision about an origin', () => {
  it.each<[what: string, given: Case, headers: object]>([
    ['names the origin', {}, { ...ALLOWED, vary: 'Origin' }],
    ['says nothing but `Vary` of a refused origin', { settings: 'refused' }, { vary: 'Origin' }],
    [
      'grants credentials where the policy does',
      { settings: { credentials: true } },
      { ...ALLOWED, vary: 'Origin', 'access-control-allow-credentials': 'true' },
    ],
    [
      'lets a page read the headers of the policy',
      { settings: { exposedHeaders: ['x-total'] } },
      { ...ALLOWED, vary: 'Origin', 'access-control-expose-headers': 'x-total' },
    ],
    [
      'lets a page read of a refusal what it can use',
      { settings: { exposedHeaders: ['x-total'] }, effect: 'deny' },
      { ...ALLOWED, vary: 'Origin', 'access-control-expose-headers': 'x-total,x-request-id,retry-after' },
    ],
    [
      'takes back what others have granted',
      { settings: 'refused', before: { 'Access-Control-Allow-Origin': '*', 'X-Other': '1' } },
      { 'x-other': '1', vary: 'Origin' },
    ],
    ['adds to `Vary`', { before: { Vary: 'Accept' } }, { ...ALLOWED, vary: 'Accept, Origin' }],
    ['adds to several lines', { before: { Vary: ['A', 'B'] } }, { ...ALLOWED, vary: 'A, B, Origin' }],
    ['names no field twice', { before: { Vary: 'accept, origin' } }, { ...ALLOWED, vary: 'accept, origin' }],
    ['leaves `Vary: *`, which says all', { before: { Vary: '*' } }, { ...ALLOWED, vary: '*' }],
    ['leaves an asterisk in a list', { before: { Vary: 'Accept, *' } }, { ...ALLOWED, vary: 'Accept, *' }],
    [
      'varies a refused preflight by what it asks, and grants nothing',
      { method: 'OPTIONS', headers: PREFLIGHT, settings: 'refused' },
      { vary: VARY_PREFLIGHT },
    ],
    [
      'does not answer the preflight of an allowed origin that another guard refuses',
      { method: 'OPTIONS', headers: PREFLIGHT, effect: 'deny' },
      { ...ALLOWED, vary: VARY_PREFLIGHT, 'access-control-expose-headers': 'x-request-id,retry-after' },
    ],
  ])('%s', (_what, given, headers) => {
    expect(written(given)).toEqual({ answered: false, status: 200, headers })
  })

  it.each<[what: string, asked: string, headers: readonly string[] | undefined, granted: string | undefined]>(
    [
      ['the headers that it asks for', 'X-A, x-b', undefined, 'X-A,x-b'],
      ['the headers of the policy, whatever it asks for', 'x-a', ['x-b'], 'x-b'],
      ['no header where it asks with a name that is none', 'x-a, x b', undefined, undefined],
      ['no header where it asks for more than a page sends', `x-${'a'.repeat(4_100)}`, undefined, undefined],
    ],
  )('answers a preflight with %s', (_what, asked, headers, granted) => {
    const sent = written({
      method: 'OPTIONS',
      headers: { ...PREFLIGHT, 'access-control-request-headers': asked },
      settings: { headers, methods: ['PUT'], maxAge: 60 },
    })
    expect(sent).toMatchObject({ answered: true, status: 204 })
    expect(sent.headers).toMatchObject({
      ...ALLOWED,
      'access-control-allow-methods': 'PUT',
      'access-control-max-age': '60',
      vary: VARY_PREFLIGHT,
    })
    expect(sent.headers).not.toHaveProperty('access-control-allow-credentials')
    expect((sent.headers as Record<string, unknown>)['access-control-allow-headers'] || undefined).toBe(
      granted,
    )
  })
})
