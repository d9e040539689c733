/**
 * About the least that an audited answer needs from Node, without any guard, for comparison with the guards. It is
 * plain code and not a proven minimum: the package computes a MAC in half the time of `createHmac`, for example.
 *
 * `least` reads the header lines once, computes one MAC over as many bytes as a signature base has, compares it,
 * remembers a nonce, parses the return URL, and sets a property on the request and a header on the response.
 * `leastRefusal` sends a response like a refusal to everybody. Both serialise an event of the usual members when the
 * response is over. They hold nothing back, and decide nothing.
 */
import { createHmac, createSecretKey, randomUUID, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import { APP_ID, KEY, PATH } from './traffic.ts'

const GUARDS = ['auditAccess', 'regionPin', 'ipWhitelist', 'domainProtect', 'serverOnly', 'returnUrlGuard']
const DECISIONS = GUARDS.map((guard) => ({ guard, effect: 'allow', mode: 'enforce', code: 'ALLOWED' }))
const MOST_NONCES = 100_000

export function least(): RequestHandler {
  const key = createSecretKey(Buffer.from(KEY.secret, 'base64'))
  const nonces = new Set<string>()
  return (req, res, next) => {
    const { rawHeaders, originalUrl } = req
    let [input, signature, origin] = ['', '', '']
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index]
      if (name === 'signature-input') input = rawHeaders[index + 1] ?? ''
      else if (name === 'signature') signature = rawHeaders[index + 1] ?? ''
      else if (name === 'x-origin') origin = rawHeaders[index + 1] ?? ''
    }
    const base = `"@method": ${req.method}\n"@target-uri": ${originalUrl}\n"x-app-id": ${APP_ID}\n"x-origin": ${origin}\n"@signature-params": ${input}`
    const expected = createHmac('sha256', key).update(base, 'latin1').digest()
    const given = Buffer.from(signature.slice(signature.indexOf(':') + 1, -1), 'base64')
    const isEqual = given.length === expected.length && timingSafeEqual(given, expected)
    if (nonces.size >= MOST_NONCES) nonces.clear()
    nonces.add(input.slice(input.indexOf('nonce=')))
    const query = originalUrl.slice(originalUrl.indexOf('return_url=') + 11)
    const { href } = new URL(decodeURIComponent(query))
    const requestId = randomUUID()
    Object.assign(req, { noted: { requestId, returnUrl: href } })
    res.setHeader('Vary', 'Origin')
    record(req, res, requestId, isEqual ? 'answered' : 'other')
    next()
  }
}

export function leastRefusal(req: IncomingMessage, res: ServerResponse): void {
  const requestId = randomUUID()
  const body = `{"type":"urn:problem-type:portcullis:signature-required","title":"The request must be signed","status":401,"code":"SIGNATURE_REQUIRED","instance":"${requestId}"}`
  res.statusCode = 401
  res.setHeader('Vary', 'Origin')
  res.setHeader('Content-Type', 'application/problem+json')
  res.setHeader('Content-Length', body.length)
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('X-Request-Id', requestId)
  res.setHeader('WWW-Authenticate', 'Signature')
  record(req, res, requestId, 'refused')
  res.end(body, 'latin1')
}

function record(req: IncomingMessage, res: ServerResponse, requestId: string, outcome: string): void {
  const address = req.socket.remoteAddress
  res.once('close', () => {
    const event = {
      version: 1,
      id: randomUUID(),
      time: new Date().toISOString(),
      requestId,
      appId: APP_ID,
      kind: 'operation',
      operation: `${req.method} ${PATH}`,
      outcome,
      decisions: DECISIONS,
      revision: 1,
      status: res.statusCode,
      address,
    }
    Buffer.from(JSON.stringify(event))
  })
}
