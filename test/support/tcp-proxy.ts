import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Transform } from 'node:stream'

/** A proxy between a client and a server on the loopback address, which can fail like a network. */
export interface TcpProxy {
  readonly port: number
  /** Accepts connections, but forwards and closes nothing, as if a cable was unplugged. */
  freeze(): void
  /** Forwards everything that was held back, including closed connections. */
  thaw(): void
  /** Closes all connections. New ones are possible. */
  cut(): void
  stop(): Promise<void>
}

/**
 * Starts a proxy for `port`. Call `stop()` in `afterAll`.
 *
 * @param watch sees all bytes as they arrive, with a number for each connection and direction
 */
export async function startTcpProxy(
  port: number,
  watch?: (bytes: Buffer, stream: number) => void,
): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let frozen: Promise<void> | undefined
  let thaw = (): void => {}
  const freeze = (): void => {
    frozen ??= new Promise((resolve) => {
      thaw = () => {
        frozen = undefined
        resolve()
      }
    })
  }

  async function whenThawed(action: () => void): Promise<void> {
    // A loop, because it may have been frozen again meanwhile.
    while (frozen !== undefined) await frozen
    action()
  }
  let streams = 0
  const gate = (stream: number): Transform =>
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        watch?.(chunk, stream)
        void whenThawed(() => done(null, chunk))
      },
      flush: (done) => void whenThawed(done),
    })
  function pass(from: Socket, to: Socket): void {
    sockets.add(from)
    from.once('close', () => sockets.delete(from))
    from.once('error', () => void whenThawed(() => to.destroy()))
    from.pipe(gate((streams += 1))).pipe(to)
  }

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    pass(client, upstream)
    pass(upstream, client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    freeze,
    thaw: () => thaw(),
    cut,
    async stop() {
      thaw()
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
