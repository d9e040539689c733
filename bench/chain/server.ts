/**
 * One server of the benchmark, in a process of its own, forked with the name of a variant. It answers what it is asked over
 * the channel to its parent.
 */
import { createHook } from 'node:async_hooks'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PerformanceObserver } from 'node:perf_hooks'
import express from 'express'
import { readTools } from './build.ts'
import { clockedApp, takeTimes } from './clocked.ts'
import { takeMemory, takeTime, type Shares } from './layers.ts'
import { ANSWER, PATH } from './traffic.ts'
import { BASE, gateVariants, variants } from './variants.ts'

/** What a server can be asked for. */
export interface Answers {
  /** CPU time of this process so far, in microseconds. */
  cpu: number
  /** The heap in use, in bytes, after a full collection. */
  collected: number
  /** The heap in use, in bytes, and how many collections there were since it was last asked. */
  heap: { used: number; collections: number }
  /** How many promises were made since it was last asked. The first time it begins to count. */
  promises: number
  /** What the clocked middleware took, call by call, in nanoseconds, since it was last asked. */
  times: Readonly<Record<string, readonly number[]>>
  /** What was allocated since it was last asked, in bytes by layer. The first time it begins to look. */
  memory: Shares
  /** The same of processor time, in microseconds. */
  layers: Shares
}

let collections = 0
new PerformanceObserver((list) => {
  collections += list.getEntries().length
}).observe({ entryTypes: ['gc'] })

let promises = 0
const countPromises = createHook({
  init: (_id, type) => {
    if (type === 'PROMISE') promises += 1
  },
})

function heap(): Answers['heap'] {
  const answer = { used: process.memoryUsage().heapUsed, collections }
  collections = 0
  return answer
}

function readPromises(): number {
  const made = promises
  countPromises.enable()
  promises = 0
  return made
}

const answers: { [Question in keyof Answers]: () => Answers[Question] } = {
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return user + system
  },
  collected: () => {
    globalThis.gc?.()
    return process.memoryUsage().heapUsed
  },
  heap,
  promises: readPromises,
  times: takeTimes,
  memory: takeMemory,
  layers: takeTime,
}

async function start(name: string): Promise<Server> {
  const tools = await readTools()
  if (name === 'clocked') return createServer(clockedApp(tools))
  const app = express()
  const variant = [...variants, ...gateVariants].find((one) => one.name === name)
  if (variant === undefined && name !== BASE) throw new Error(`there is no variant \`${name}\``)
  if (variant?.mount !== undefined) app.use((await variant.mount(tools)) as express.RequestHandler)
  app.get(PATH, (_req, res) => void res.json(ANSWER))
  return variant?.serve?.(app, tools) ?? createServer(app)
}

const server = await start(process.argv[2] ?? BASE)
// Connections stay open while other servers have their turn.
server.keepAliveTimeout = 3_600_000
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('message', (question: keyof Answers) => process.send?.(answers[question]()))
process.on('disconnect', () => process.exit(0))
