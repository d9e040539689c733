import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: 32 })

/** Sends a request from this client address, and resolves with its status, or with 0 if there is no answer. */
export function call(port: number, address: string): Promise<number> {
  return new Promise((resolve) => {
    const sent = request(
      { host: '127.0.0.1', port, agent, headers: { 'x-forwarded-for': address } },
      (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0))
      },
    )
    sent.on('error', () => resolve(0))
    sent.end()
  })
}

/** Calls the servers in turn at a fixed rate, whether or not earlier calls have ended. */
export function loadServers(
  ports: readonly number[],
  perSecond: number,
): { stop(): Promise<ReadonlyMap<number, number>> } {
  const statuses = new Map<number, number>()
  const calls: Promise<void>[] = []
  const begun = performance.now()
  const timer = setInterval(() => {
    const due = ((performance.now() - begun) / 1_000) * perSecond
    while (calls.length < due) {
      const port = ports[calls.length % ports.length] as number
      calls.push(
        call(port, '192.0.2.7').then((status) => void statuses.set(status, (statuses.get(status) ?? 0) + 1)),
      )
    }
  }, 2)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(calls)
      agent.destroy()
      return statuses
    },
  }
}
