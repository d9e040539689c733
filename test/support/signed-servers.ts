import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { compiled } from './compiled.ts'
import type { SignedServerSettings } from './signed-server.ts'

/** The host name of both servers, so that a signature is valid for either. */
export const HOST = 'gateway.example'

export interface SignedAnswer {
  readonly status: number
  /** The code in the problem document, or `PASSED` from the handler. */
  readonly code: string
  readonly headers: Readonly<Record<string, unknown>>
}

export interface SignedServers {
  /** Sends a GET to one of the servers. */
  send(server: number, headers: Readonly<Record<string, string>>, path?: string): Promise<SignedAnswer>
  stop(): Promise<void>
}

/** Starts two processes that share one Redis. */
export async function startSignedServers(settings: SignedServerSettings): Promise<SignedServers> {
  const program = compiled('test/support/signed-server.ts')
  const children = [0, 1].map(() => fork(program, [JSON.stringify(settings)], { execArgv: [] }))
  const ports = await Promise.all(children.map(async (child) => Number((await once(child, 'message'))[0])))
  const agent = new Agent({ keepAlive: true, maxSockets: 250 })
  return {
    send: (server, headers, path = '/') =>
      new Promise((done, failed) => {
        const options = {
          host: '127.0.0.1',
          port: ports[server],
          path,
          agent,
          headers: { ...headers, host: HOST },
        }
        const sent = request(options, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
          response.on('end', () => {
            const { code } = JSON.parse(text) as { code: string }
            done({ status: response.statusCode ?? 0, code, headers: response.headers })
          })
        })
        sent.on('error', failed).end()
      }),
    async stop() {
      agent.destroy()
      await Promise.all(children.map(stopChild))
    },
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = once(child, 'exit')
  child.send('stop')
  await ended
}
