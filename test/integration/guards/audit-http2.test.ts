import { connect, createSecureServer } from 'node:http2'
import { request as requestHttp1 } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  auditAccess,
  createPolicySource,
  memoryStore,
  type GuardRequest,
  type GuardResponse,
} from 'portcullis'
import type { AuditEvent } from 'portcullis/audit'
import { generate } from 'selfsigned'
import { APP } from '../../support/protected-app.ts'

describe('auditAccess on an HTTP/2 server that allows HTTP/1', () => {
  let fails = false
  let kept: AuditEvent[] = []
  const policies = createPolicySource({
    store: memoryStore([{ policy: { appId: APP, auditAccess: { mode: 'enforce', onSinkFailure: 'deny' } } }]),
  })
  const sink = {
    async write(events: readonly AuditEvent[]) {
      await sleep(3)
      if (fails) throw new Error('down')
      kept.push(...events)
    },
  }
  const audit = auditAccess({ policies, sink, sinkTimeout: 2_000 })
  let server: ReturnType<typeof createSecureServer>
  let port: number
  beforeAll(async () => {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
      keyType: 'ec',
      algorithm: 'sha256',
    })
    server = createSecureServer({ key, cert, allowHTTP1: true }, (req, res) => {
      audit(req as unknown as GuardRequest, res as unknown as GuardResponse, () => {
        const { portcullis } = req as unknown as Required<GuardRequest>
        res.end(portcullis.audit.person('7', { email: 'alice@example.org' }).email)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())))

  const callers: Record<string, () => Promise<[number | undefined, string]>> = {
    'HTTP/2': () =>
      new Promise((resolve, reject) => {
        const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
        const stream = session.request({ ':path': '/', 'x-app-id': APP })
        let status: number | undefined
        let text = ''
        stream.on('response', (headers) => (status = headers[':status']))
        stream.on('data', (data) => (text += String(data)))
        stream.on('error', reject)
        stream.on('close', () => (session.close(), resolve([status, text])))
      }),
    'HTTP/1.1': () =>
      new Promise((resolve, reject) => {
        const call = requestHttp1(
          { host: '127.0.0.1', port, rejectUnauthorized: false, agent: false, headers: { 'x-app-id': APP } },
          (res) => {
            let text = ''
            res.on('data', (data) => (text += String(data)))
            res.on('end', () => resolve([res.statusCode, text]))
          },
        )
        call.on('error', reject)
        call.end()
      }),
  }
  for (const [protocol, call] of Object.entries(callers)) {
    it(`stores the events before the answer is sent, and refuses if they are not stored, by ${protocol}`, async () => {
      kept = []
      fails = false
      expect(await call()).toEqual([200, 'alice@example.org'])
      expect(kept.map(({ kind }) => kind).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
        'field',
        'operation',
      ])
      fails = true
      const [status, text] = await call()
      expect([status, JSON.parse(text).code]).toEqual([503, 'AUDIT_UNAVAILABLE'])
      expect(text).not.toContain('alice')
      // Sends waiting events now, and not during the next test.
      fails = false
      await audit.flush()
    })
  }
})
