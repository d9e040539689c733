import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Transform } from 'node:stream'

/** Stands between a client and a server of the loopback address, and fails as a network does. */
export interface TcpProxy {
  readonly port: number
  /** From now on it accepts connections, passes nothing and closes nothing, as when a cable was pulled. */
  freeze(): void
  /** Passes on what was held back, closed connections too. */
  thaw(): void
  /** Closes all connections there are. New ones can be made. */
  cut(): void
  stop(): Promise<void>
}

/**
 * Starts one in front of `port`. Call `stop()` in `afterAll`.
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
    // Once more when it was frozen again before our turn came.
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
