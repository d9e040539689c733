/**
 * A server of the benchmark in its own process, forked with the name of a variant. It answers questions of the parent
 * process over the IPC channel.
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

/** The questions of the parent process, with the types of the answers. */
export interface Answers {
  /** CPU time of this process so far, in microseconds. */
  cpu: number
  /** The heap in use, in bytes, after a full collection. */
  collected: number
  /** The heap in use, in bytes, and the number of garbage collections since the last question. */
  heap: { used: number; collections: number }
  /** The number of promises created since the last question. The first question starts the counter. */
  promises: number
  /** The times of all calls of the clocked middleware since the last question, in nanoseconds. */
  times: Readonly<Record<string, readonly number[]>>
  /** The bytes allocated since the last question, by layer. The first question starts the profiler. */
  memory: Shares
  /** The same for CPU time, in microseconds. */
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
  // Skipped if a guard has parsed the body.
  app.post(PATH, express.json(), (_req, res) => void res.json(ANSWER))
  return variant?.serve?.(app, tools) ?? createServer(app)
}

const server = await start(process.argv[2] ?? BASE)
// Connections stay open during the turns of other servers.
server.keepAliveTimeout = 3_600_000
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('message', (question: keyof Answers) => process.send?.(answers[question]()))
process.on('disconnect', () => process.exit(0))
