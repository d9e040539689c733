import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import { gateResponse, type Gate } from '../../../../src/http/response/gate.ts'

/** The bytes that a caller with two requests on one connection receives, and the verdict of the gate on the first. */
async function wireOf(agrees: (part: number) => boolean) {
  let gate: Gate | undefined
  const server = createServer((req, res: ServerResponse) => {
    if (req.url !== '/first') {
      res.end('second')
      return
    }
    let parts = 0
    gate = gateResponse(res, {
      before: async () => {
        parts += 1
        if (!agrees(parts)) throw new Error('no')
      },
      refuse: (answer) => {
        answer.statusCode = 503
        answer.end('refused')
      },
    })
    res.on('error', () => undefined)
    res.writeHead(200, { 'Content-Length': '10' })
    res.write('12345')
    void sleep(20).then(() => res.end('67890'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const head = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
    socket.write(head('/first') + head('/second'))
    let wire = ''
    socket.setEncoding('utf8').on('data', (text: string) => (wire += text))
    socket.on('error', () => undefined)
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve())
      socket.on('data', () => wire.endsWith('second') && socket.destroy())
    })
    return { wire, wholeAnswerLeft: gate?.wholeAnswerLeft }
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

describe('a response whose parts are approved one by one', () => {
  it('is sent completely if all are approved, and the connection stays open', async () => {
    const { wire, wholeAnswerLeft } = await wireOf(() => true)
    expect(wire).toMatch(/1234567890HTTP\/1\.1 200 OK\r\n[^]*second$/)
    expect(wholeAnswerLeft).toBe(true)
  })

  it('is cut off if the second part is refused, because no other answer can follow the sent bytes', async () => {
    const { wire, wholeAnswerLeft } = await wireOf((part) => part === 1)
    expect(wire).toMatch(/\r\n\r\n12345$/)
    expect(wire).not.toMatch(/refused|503|67890|second/)
    expect(wholeAnswerLeft).toBe(false)
  })

  it('is replaced if the first part is refused, with `Connection: close`', async () => {
    const { wire, wholeAnswerLeft } = await wireOf(() => false)
    expect(wire).toMatch(/^HTTP\/1\.1 503 [^]*\r\nConnection: close\r\n[^]*refused/i)
    expect(wire).not.toMatch(/12345|67890|second/)
    expect(wholeAnswerLeft).toBe(false)
  })
})
