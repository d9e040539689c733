import { createServer, type AddressInfo, type Server } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createLog } from '../../../example-server/log.ts'
import { printingMailer, smtpMailer } from '../../../example-server/mail.ts'

/** A minimal mail server, which records the received lines. */
let server: Server
let said: string[]
let received: Promise<void>

beforeEach(async () => {
  said = []
  received = new Promise((resolve) => {
    server = createServer((socket) => {
      let inData = false
      socket.write('220 mail.example\r\n')
      socket
        .on('error', () => undefined)
        .on('data', (chunk: Buffer) => {
          for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
            said.push(line)
            if (inData && line === '.') resolve()
            if (inData && line !== '.') continue
            inData = line === 'DATA'
            socket.write(line === 'DATA' ? '354 go on\r\n' : '250 ok\r\n')
          }
        })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => void server.close())

const url = (): string => `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`
const silent = createLog({ production: false, write: () => undefined })

describe('an email', () => {
  it('goes to the mail server, from the configured sender', async () => {
    smtpMailer(
      url(),
      'gateway@example.org',
      silent,
    )({
      to: 'ada@example.org',
      subject: 'Your code',
      text: 'Code: 12345678',
    })
    await received
    expect(said).toContain('MAIL FROM:<gateway@example.org>')
    expect(said).toContain('RCPT TO:<ada@example.org>')
    expect(said).toContain('Subject: Your code')
    expect(said.join('\n')).toContain('Code: 12345678')
  })

  it('that cannot be sent is logged, without the address', async () => {
    server.close()
    const line = await new Promise<string>((resolve) => {
      const log = createLog({ production: true, write: resolve })
      smtpMailer(
        'smtp://127.0.0.1:1',
        'gateway@example.org',
        log,
      )({ to: 'ada@example.org', subject: 'S', text: 'T' })
    })
    expect(JSON.parse(line)).toMatchObject({ event: 'an email could not be sent', subject: 'S' })
    expect(line).not.toContain('ada')
  })

  it('is printed in development, without control characters', () => {
    let printed = ''
    printingMailer((text) => (printed = text))({
      to: 'ada\u001b[2J@example.org',
      subject: 'Your code',
      text: 'Code: 12345678',
    })
    expect(printed).toContain('Code: 12345678')
    expect(printed).not.toContain('\u001b')
  })
})
