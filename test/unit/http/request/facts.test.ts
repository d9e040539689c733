import { describe, expect, it } from '@jest/globals'
import express from 'express'
import type { GuardRequest } from '../../../../src/http/handler.ts'
import { keepRawBody } from '../../../../src/http/request/content.ts'
import { NodeFacts } from '../../../../src/http/request/facts.ts'

type Given = Readonly<Record<string, unknown>>

/** The facts of a request with these members and headers. */
function factsOf(headers: Given = {}, more: Given = {}, bytes?: Uint8Array): NodeFacts {
  const usual = { method: 'POST', url: '/', httpVersionMajor: 1, socket: { remoteAddress: '192.0.2.7' } }
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().flatMap((line) => [name, String(line)]),
  )
  const req = { ...usual, headers, rawHeaders: lines, ...more } as unknown as GuardRequest
  if (bytes !== undefined) keepRawBody(req, bytes)
  return new NodeFacts(req)
}

const HTTP2 = { httpVersionMajor: 2 }
const BYTES = new Uint8Array([123, 125])
const ENDED = { readableEnded: true }

describe('the content of a request', () => {
  it.each<[what: string, kind: string, facts: NodeFacts]>([
    ['is none without framing', 'none', factsOf()],
    ['is none at a length of 0', 'none', factsOf({ 'content-length': '0' })],
    [
      'is unavailable at a length, when no bytes were kept',
      'unavailable',
      factsOf({ 'content-length': '2' }),
    ],
    ['is unavailable in chunks', 'unavailable', factsOf({ 'transfer-encoding': 'chunked' })],
    ['is none in chunks that ended empty', 'none', factsOf({ 'transfer-encoding': 'chunked' }, ENDED)],
    [
      'is unavailable in chunks that somebody has read',
      'unavailable',
      factsOf({ 'transfer-encoding': 'chunked' }, { ...ENDED, readableDidRead: true }),
    ],
    ['is the bytes that were kept', 'bytes', factsOf({ 'content-length': '2' }, {}, BYTES)],
    ['is the bytes of chunks in any case', 'bytes', factsOf({ 'transfer-encoding': 'Chunked' }, {}, BYTES)],
    [
      'is unavailable in a coding that Node does not read, whatever was kept',
      'unavailable',
      factsOf({ 'transfer-encoding': 'gzip' }, {}, BYTES),
    ],
    ['is unavailable in HTTP/2, which names no length', 'unavailable', factsOf({}, HTTP2)],
    [
      'is none in HTTP/2 when the stream ended with its headers',
      'none',
      factsOf({}, { ...HTTP2, stream: { endAfterHeaders: true } }),
    ],
    [
      'is unavailable in HTTP/1.1, whatever a member `stream` says',
      'unavailable',
      factsOf({ 'content-length': '2' }, { stream: { endAfterHeaders: true } }),
    ],
  ])('%s', (_what, kind, facts) => {
    expect(facts.message().body.kind).toBe(kind)
  })
})

describe('the authority of a request', () => {
  const host = 'example.org'
  it.each<[what: string, authority: string | undefined, facts: NodeFacts]>([
    ['is its Host', host, factsOf({ host })],
    ['is not what a proxy header says', host, factsOf({ host, 'x-forwarded-host': 'evil.example' })],
    ['is unknown without Host', undefined, factsOf({ 'x-forwarded-host': 'evil.example' })],
    ['is unknown with two Host lines', undefined, factsOf({ host: [host, 'evil.example'] })],
    ['is `:authority` in HTTP/2', host, factsOf({ ':authority': host }, HTTP2)],
    ['is its Host in HTTP/2 without `:authority`', host, factsOf({ host }, HTTP2)],
    ['is the same in another case', host, factsOf({ ':authority': host, host: 'Example.org' }, HTTP2)],
    [
      'is unknown when the two differ',
      undefined,
      factsOf({ ':authority': host, host: 'evil.example' }, HTTP2),
    ],
    ['is not `:authority` in HTTP/1.1', host, factsOf({ ':authority': 'evil.example', host })],
  ])('%s', (_what, authority, facts) => {
    expect(facts.message().authority).toBe(authority)
  })
})

describe('the evidence of a browser', () => {
  const PREFLIGHT = { origin: 'https://example.org', 'access-control-request-method': 'PUT' }
  it.each<[what: string, evidence: string | undefined, facts: NodeFacts]>([
    ['is nothing of a server', undefined, factsOf()],
    ['is an origin', 'origin', factsOf({ origin: 'https://example.org' })],
    ['is an opaque origin', 'origin', factsOf({ origin: 'null' })],
    ['is Fetch Metadata', 'sec-fetch-site', factsOf({ 'sec-fetch-site': 'cross-site' })],
    ['is a navigation', 'sec-fetch-mode', factsOf({ 'sec-fetch-mode': 'navigate' })],
    ['is not the mode that the fetch of Node sends', undefined, factsOf({ 'sec-fetch-mode': 'cors' })],
    ['is a preflight', 'preflight', factsOf(PREFLIGHT, { method: 'OPTIONS' })],
    ['is the origin of what only looks like a preflight', 'origin', factsOf(PREFLIGHT)],
  ])('%s', (_what, evidence, facts) => {
    expect(facts.browserEvidence).toBe(evidence)
  })
})

describe('the client address from Express', () => {
  /** The facts of an Express request behind one proxy. */
  const expressFacts = (trust: unknown, more: Given = {}): NodeFacts => {
    const app = typeof trust === 'function' ? (trust as express.Express) : express().set('trust proxy', trust)
    const headers = { host: 'example.org', 'x-forwarded-for': '198.51.100.1' }
    const rawHeaders = Object.entries(headers).flat()
    const socket = { remoteAddress: '192.0.2.7', ...more }
    const req = Object.assign(Object.create(app.request) as object, {
      method: 'GET',
      url: '/',
      socket,
      headers,
    })
    return new NodeFacts(Object.assign(req, { rawHeaders }) as unknown as GuardRequest)
  }

  it.each<[what: string, address: string | undefined, facts: NodeFacts]>([
    ['is the peer with `trust proxy` off', '192.0.2.7', expressFacts(false)],
    ['is what the trusted proxy says', '198.51.100.1', expressFacts(1)],
    [
      'is unknown behind a trusted proxy whose header may be lost',
      undefined,
      expressFacts(1, { server: { maxHeadersCount: 2 } }),
    ],
    ['is unknown without a peer', undefined, expressFacts(false, { remoteAddress: undefined })],
  ])('%s', (_what, address, facts) => {
    expect(facts.address(undefined)?.address.text).toBe(address)
  })

  it('is `req.ip` if a program has replaced the function that Express uses', () => {
    const app = express()
    app.set('trust proxy fn', () => true)
    expect([app.get('trust proxy'), expressFacts(app).address(undefined)?.address.text]).toEqual([
      false,
      '198.51.100.1',
    ])
  })

  const ofApp = (app: express.Express): object => app.request
  const ofAll = (app: express.Express): object => Object.getPrototypeOf(app.request) as object
  const getter = { configurable: true, get: () => '203.0.113.9' }
  const constant = { configurable: true, value: '203.0.113.9' }
  it.each([
    ['the application', ofApp, getter],
    ['all applications', ofAll, getter],
    ['the application, as a value', ofApp, constant],
    ['all applications, as a value', ofAll, constant],
  ])('is `req.ip` if a program has redefined it for %s', (_whose, prototypeOf, ip) => {
    const app = express()
    const prototype = prototypeOf(app)
    const before = Object.getOwnPropertyDescriptor(prototype, 'ip')
    Object.defineProperty(prototype, 'ip', ip)
    try {
      expect(expressFacts(app).address(undefined)?.address.text).toBe('203.0.113.9')
    } finally {
      if (before === undefined) delete (prototype as { ip?: unknown }).ip
      else Object.defineProperty(prototype, 'ip', before)
    }
  })
})
