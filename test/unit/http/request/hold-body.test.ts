import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { awaitContent, holdBody } from '../../../../src/http/request/hold-body.ts'
import type { GuardRequest } from '../../../../src/http/handler.ts'
import { listening } from '../../../support/protected-app.ts'
import { exchange } from '../../../support/raw-exchange.ts'

/** The body of a server's answer to this raw request. */
const answerOf = (listener: RequestListener, text: string): Promise<string> =>
  listening(listener, async (_origin, server) => {
    const answer = await exchange((server.address() as AddressInfo).port, text)
    return answer.slice(answer.indexOf('\r\n\r\n') + 4)
  })

const holding =
  (ahead: (req: GuardRequest) => void = () => undefined): RequestListener =>
  (req, res) => {
    res.shouldKeepAlive = false
    ahead(req)
    holdBody(req, 10, (error, bytes) => {
      const said = error === undefined ? bytes.toString() : `${error.status} ${error.type}`
      res.removeHeader('transfer-encoding')
      res.setHeader('content-length', said.length).end(said)
    })
  }

const post = (lines: string, body: string): string => `POST / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n${body}`

describe('holdBody', () => {
  it.each([
    ['holds what fits', post('Content-Length: 10', '0123456789'), '0123456789'],
    [
      'holds what fits, in chunks',
      post('Transfer-Encoding: chunked', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'),
      'abcde',
    ],
    ['holds nothing where there is nothing', post('Content-Length: 0', ''), ''],
    [
      'refuses a length above the limit, before any of it has come',
      post('Content-Length: 11', ''),
      '413 entity.too.large',
    ],
    [
      'refuses more than the limit, in chunks',
      post('Transfer-Encoding: chunked', 'b\r\n01234567890\r\n0\r\n\r\n'),
      '413 entity.too.large',
    ],
  ])('%s', async (_what, text, answer) => {
    expect(await answerOf(holding(), text)).toBe(answer)
  })

  it('refuses if somebody is already reading, who would take the bytes from later readers', async () => {
    const reads = (req: GuardRequest): void => void req.on('readable', () => undefined)
    expect(await answerOf(holding(reads), post('Content-Length: 3', 'abc'))).toBe('500 stream.not.readable')
  })

  it('resumes a stream that was flowing', async () => {
    let seen = ''
    const flows = (req: GuardRequest): void =>
      void req.on('data', (data: Buffer) => (seen += data.toString()))
    const listener: RequestListener = (req, res) => {
      res.shouldKeepAlive = false
      flows(req)
      holdBody(req, 10, () => undefined)
      req.on('end', () => res.end(seen))
    }
    expect(await answerOf(listener, post('Content-Length: 3', 'abc'))).toContain('abc')
  })
})

describe('awaitContent', () => {
  it.each([
    ['some', post('Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\n\r\n'), 'true'],
    ['none', post('Transfer-Encoding: chunked', '0\r\n\r\n'), 'false'],
  ])('reports that there is %s, without an error', async (_what, text, answer) => {
    const listener: RequestListener = (req, res) => {
      res.shouldKeepAlive = false
      awaitContent(req, (error, hasContent) => {
        const said = error === undefined ? String(hasContent) : error.type
        res.setHeader('content-length', said.length).end(said)
      })
    }
    expect(await answerOf(listener, text)).toBe(answer)
  })
})
