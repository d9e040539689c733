import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { exchange } from './raw-exchange.ts'

/** The number of pipelined requests on a connection. */
export const PIPELINED = 20

/** Sends GET and HEAD without a cookie, and returns how often each status came back. */
export async function flood(
  server: string,
  paths: readonly string[],
  count: number,
): Promise<Map<string, number>> {
  const { port, host } = new URL(server)
  const statuses = new Map<string, number>()
  for (let sent = 0; sent < count; sent += PIPELINED) {
    const requests = Array.from({ length: PIPELINED }, (_, index) => {
      const path = new URL(paths[(sent + index) % paths.length] ?? '/', server).pathname
      const method = index % 2 === 0 ? 'GET' : 'HEAD'
      const last = index === PIPELINED - 1 ? 'Connection: close\r\n' : ''
      return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${last}\r\n`
    })
    const answers = await exchange(Number(port), requests.join(''))
    for (const [, status = ''] of answers.matchAll(/HTTP\/1\.1 (\d{3}) /g))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  return statuses
}

/** The used heap of this process in bytes, after a garbage collection. */
export function usedHeap(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage().heapUsed
}
