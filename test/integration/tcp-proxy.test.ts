import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

describe('a proxy in front of a server', () => {
  let server: Server
  let proxy: TcpProxy
  const opened: Socket[] = []

  beforeAll(async () => {
    server = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    proxy = await startTcpProxy((server.address() as AddressInfo).port)
  })
  afterAll(async () => {
    for (const client of opened) client.destroy()
    await proxy.stop()
    server.close()
  })

  /** A client of the echo server, and what it has received, with `.` at the end of the connection. */
  async function open(): Promise<{ client: Socket; heard: () => string }> {
    const client = connect({ host: '127.0.0.1', port: proxy.port })
    opened.push(client)
    let said = ''
    client.on('error', () => {})
    client.on('data', (chunk: Buffer) => (said += chunk.toString()))
    client.on('close', () => (said += '.'))
    await once(client, 'connect')
    return { client, heard: () => said }
  }

  async function hears(heard: () => string, what: string): Promise<void> {
    while (heard() !== what) await sleep(5)
  }

  it('forwards large amounts in both directions, and the end of the stream', async () => {
    const { client, heard } = await open()
    client.end('x'.repeat(5_000_000))
    await hears(heard, `${'x'.repeat(5_000_000)}.`)
  })

  it('holds back all data while it is frozen, on old and new connections, and closes none', async () => {
    const [old, gone] = [await open(), await open()]
    old.client.write('before ')
    await hears(old.heard, 'before ')
    proxy.freeze()
    const fresh = await open()
    old.client.write('during')
    fresh.client.write('during')
    gone.client.end('gone')
    await sleep(200)
    expect([old, fresh, gone].map(({ heard }) => heard())).toEqual(['before ', '', ''])
    proxy.thaw()
    await hears(old.heard, 'before during')
    await hears(fresh.heard, 'during')
    await hears(gone.heard, 'gone.')
  })

  it('cuts existing connections, also while it is frozen, and accepts new ones', async () => {
    for (const prepare of [() => {}, proxy.freeze]) {
      prepare()
      const { heard } = await open()
      proxy.cut()
      await hears(heard, '.')
    }
    proxy.thaw()
    const { client, heard } = await open()
    client.write('again')
    await hears(heard, 'again')
  })

  it('closes connections if the server behind it does not listen', async () => {
    const before = await startTcpProxy(1)
    const client = connect({ host: '127.0.0.1', port: before.port })
    await once(client, 'close')
    await before.stop()
  })
})
