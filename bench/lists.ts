/**
 * A list of a million ranges, imported into Redis while two servers that use it answer 1,000 requests a second: how long until
 * both enforce it, what became of the requests, and how long the servers paused. Starts its own Redis.
 *
 * Run with `npm run bench:lists`; `-- --ranges 100000` for a shorter run. Ends with 1 when a request was lost or the list is
 * not enforced.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import express, { type RequestHandler } from 'express'
import { Redis } from 'ioredis'
import { createPolicySource, ipWhitelist, type ListEntry } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { startRedis } from '../test/support/redis.ts'

const SERVERS = 2
const PER_SECOND = 1_000
const APP = 'app'
const LIST = 'partners'

interface Pauses {
  readonly longest: number
  readonly p99: number
  readonly listBytes: number
}

async function serve(url: string): Promise<void> {
  const redis = new Redis(url)
  const store = redisStore(redis)
  const policies = createPolicySource({ store })
  const app = express().set('trust proxy', 'loopback')
  app.use(ipWhitelist({ policies, appId: () => APP }) as RequestHandler)
  app.get('/', (_req, res) => void res.json({ hello: 'world' }))
  const delays = monitorEventLoopDelay({ resolution: 1 })
  const server = app.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.send?.(typeof address === 'object' ? address?.port : undefined)
  })
  process.on('message', (message) => {
    if (message === 'begin') {
      delays.reset()
      delays.enable()
    } else if (message === 'report') {
      const report: Pauses = {
        longest: delays.max / 1e6,
        p99: delays.percentile(99) / 1e6,
        listBytes: policies.status().listBytes,
      }
      process.send?.(report)
    } else process.exit(0)
  })
}

const agent = new Agent({ keepAlive: true, maxSockets: 32 })

/** The status of a request that a caller with this address makes; 0 when there was no answer. */
function call(port: number, address: string): Promise<number> {
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

/** Calls all servers in turn, so many times a second, whatever becomes of the calls. */
function loadServers(ports: readonly number[]): { stop(): Promise<ReadonlyMap<number, number>> } {
  const statuses = new Map<number, number>()
  const calls: Promise<void>[] = []
  const begun = performance.now()
  const timer = setInterval(() => {
    const due = ((performance.now() - begun) / 1_000) * PER_SECOND
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
      return statuses
    },
  }
}

/** Ranges of both versions, none of which holds another. */
function* partners(count: number): Generator<ListEntry> {
  for (let index = 0; index < count; index += 1) {
    const [high, middle, low] = [index >> 16, (index >> 8) & 255, index & 255]
    yield {
      range:
        index % 2 === 0
          ? `${11 + high}.${middle}.${low}.0/24`
          : `2a00:${high.toString(16)}:${middle.toString(16)}:${low.toString(16)}::/64`,
    }
  }
}

async function main(count: number): Promise<boolean> {
  const redis = await startRedis()
  const children: ChildProcess[] = []
  try {
    const store = redisStore(new Redis(redis.url))
    const ipWhitelistSection = { mode: 'enforce', ranges: ['192.0.2.0/24'], lists: [LIST] }
    await store.write({ policy: { appId: APP, ipWhitelist: ipWhitelistSection } }, 0)
    const ports: number[] = []
    for (let index = 0; index < SERVERS; index += 1) {
      const child = fork(process.argv[1] as string, ['serve', redis.url], { execArgv: ['--import', 'tsx'] })
      children.push(child)
      ports.push(((await once(child, 'message')) as [number])[0])
    }
    const last = addressOfLast(count)
    const load = loadServers(ports)
    await sleep(2_000)
    for (const child of children) child.send('begin')

    const begun = performance.now()
    await store.writeList(LIST, partners(count), 0)
    const written = performance.now()
    const enforced = await Promise.all(
      ports.map(async (port) => {
        while ((await call(port, last)) !== 200) await sleep(5)
        return performance.now()
      }),
    )
    const statuses = await load.stop()
    const reports = await Promise.all(
      children.map(async (child) => {
        child.send('report')
        return ((await once(child, 'message')) as [Pauses])[0]
      }),
    )
    const answered = [...statuses.values()].reduce((sum, number) => sum + number, 0)
    const lost = answered - (statuses.get(200) ?? 0)
    console.log(
      `Node ${process.version}, ${count} ranges, ${SERVERS} servers, ${PER_SECOND} requests a second`,
    )
    console.log(`imported in                    ${((written - begun) / 1_000).toFixed(2)} s`)
    console.log(
      `enforced by the last server    ${((Math.max(...enforced) - written) / 1_000).toFixed(2)} s later`,
    )
    console.log(`requests                       ${answered}, of which not answered with 200: ${lost}`)
    for (const [index, { longest, p99, listBytes }] of reports.entries()) {
      const perRange = (listBytes / count).toFixed(1)
      console.log(
        `server ${index + 1}: longest pause ${longest.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; ${perRange} bytes per range`,
      )
    }
    return lost === 0
  } finally {
    for (const child of children) child.send('end')
    agent.destroy()
    await redis.stop()
  }
}

/** An address in the last range of IPv4. */
function addressOfLast(count: number): string {
  const [last] = [...partners(count)].filter(({ range }) => range.includes('.')).slice(-1)
  return (last?.range ?? '').replace('0/24', '9')
}

const [role, url = ''] = process.argv.slice(2)
if (role === 'serve') await serve(url)
else {
  const { values } = parseArgs({ options: { ranges: { type: 'string', default: '1000000' } } })
  process.exitCode = (await main(Number(values.ranges))) ? 0 : 1
  process.exit()
}
