import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditLogStatus, LogProblem } from '../../src/audit/index.ts'
import { auditedLog } from './audited-log.ts'
import { compiled } from './compiled.ts'
import { startRedis, type RedisServer } from './redis.ts'

export interface OutageOptions {
  /** The length of the outage of Redis, in milliseconds. */
  readonly away: number
  /** Requests per second. */
  readonly rate: number
  /** Whether Redis is killed, or keeps its connections and does not answer. */
  readonly how: 'killed' | 'paused'
}

/** The results of a run. */
export interface Outage {
  readonly delivered: number
  /** Answers with a status other than 200, and requests without an answer. */
  readonly refused: number
  /** How many of them had which status or error. */
  readonly refusals: Readonly<Record<string, number>>
  /** The length of the outage in milliseconds, and the number of events that had to wait. */
  readonly away: number
  readonly backlog: number
  /** How long it took to store them while requests continued, in milliseconds. */
  readonly catchUp: number
  /** In bytes: the maximum size of the spool, and the growth of the process beyond its maximum before the outage. */
  readonly spool: number
  readonly growth: number
  readonly unaudited: number
  readonly doubled: number
  readonly problems: readonly LogProblem[]
}

/** The status that the audited process reports. */
interface State extends AuditLogStatus {
  readonly rss: number
  /** The total number of events. */
  readonly made: number
}

/** The maximum number of open requests. */
const MOST_OPEN = 200
/** The least and the most milliseconds of load with Redis, before the outage; in between, a tenth of the outage. */
const [SHORTEST_WARM_UP, LONGEST_WARM_UP] = [5_000, 60_000]
const ASKED_EACH = 100
/** The run gives up if the backlog takes this many times as long as the outage, and at least a minute. */
const PATIENCE = 20

/** Stops the Redis of an audited server under load, and starts it again. */
export async function outage(options: OutageOptions): Promise<Outage> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-outage-'))
  mkdirSync(join(folder, 'redis'))
  const args = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--dir', join(folder, 'redis')]
  const server = await startRedis({ args })
  const worker = fork(
    compiled('test/support/audited-process.ts'),
    [server.url, join(folder, 'spool'), 'spool', '1000', String(2 ** 30)],
    { execArgv: [], env: { ...process.env, NODE_NO_WARNINGS: '1' } },
  )
  try {
    const [port] = (await once(worker, 'message')) as [number]
    const load = new Load(port, options.rate)
    const seen = await take(server, worker, load, options)
    await load.end()
    await until('all is stored', async () => (await ask(worker)).unstored === 0, options.away)
    const { unaudited, doubled, problems } = await auditedLog(server.url, load.delivered)
    return {
      ...seen,
      delivered: load.delivered.size,
      refused: load.refused,
      refusals: load.refusals,
      unaudited,
      doubled,
      problems,
    }
  } finally {
    worker.kill('SIGKILL')
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

type Seen = Pick<Outage, 'away' | 'backlog' | 'catchUp' | 'spool' | 'growth'>

async function take(
  server: RedisServer,
  worker: ChildProcess,
  load: Load,
  { away, how, rate }: OutageOptions,
): Promise<Seen> {
  let [highest, spool] = [0, 0]
  const look = async (): Promise<State> => {
    const state = await ask(worker)
    highest = Math.max(highest, state.rss)
    spool = Math.max(spool, state.spoolBytes)
    return state
  }
  // The heap of a process grows with its first requests, whether Redis is there or not.
  const warmUp = Math.min(Math.max(away / 10, SHORTEST_WARM_UP), LONGEST_WARM_UP)
  const isWarm = async (): Promise<boolean> => {
    await look()
    return load.delivered.size >= (warmUp / 1_000) * rate
  }
  await until('it is warm', isWarm, away)
  const before = highest
  const begun = performance.now()
  if (how === 'paused') server.pause()
  else await server.kill()
  while (performance.now() - begun < away) {
    await look()
    await sleep(ASKED_EACH)
  }
  const { unstored: backlog, made } = await look()
  const lasted = performance.now() - begun
  if (how === 'paused') server.resume()
  else await server.restart()
  const back = performance.now()
  const isCaughtUp = async (): Promise<boolean> => {
    const state = await look()
    return state.made - state.unstored >= made
  }
  await until('the backlog is stored', isCaughtUp, away)
  const catchUp = performance.now() - back
  return { away: lasted, backlog, catchUp, spool, growth: highest - before }
}

async function until(what: string, isSo: () => Promise<boolean>, away: number): Promise<void> {
  const end = performance.now() + Math.max(60_000, PATIENCE * away)
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`${what}: not in time`)
    await sleep(ASKED_EACH)
  }
}

async function ask(worker: ChildProcess): Promise<State> {
  worker.send('state')
  const [state] = (await once(worker, 'message')) as [State]
  return state
}

/** Sends requests at a fixed rate, independent of the answers. */
class Load {
  readonly delivered = new Set<string>()
  refused = 0
  readonly refusals: Record<string, number> = {}
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MOST_OPEN })
  readonly #open = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  #sent = 0

  constructor(port: number, rate: number) {
    this.#port = port
    const begun = performance.now()
    let due = 0
    this.#timer = setInterval(() => {
      due = Math.floor(((performance.now() - begun) / 1_000) * rate)
      // Requests that could not be sent in time are skipped.
      const some = Math.min(due - this.#counted, MOST_OPEN - this.#open.size)
      this.#counted = due
      for (let index = 0; index < some; index += 1) this.#send()
    }, 5)
  }

  #counted = 0

  #send(): void {
    const id = `call-${(this.#sent += 1)}`
    const sent = this.#call(id).then(
      (outcome) => (outcome === 200 ? void this.delivered.add(id) : this.#refuse(outcome)),
      (error: NodeJS.ErrnoException) => this.#refuse(error.code ?? error.name),
    )
    this.#open.add(sent)
    void sent.finally(() => this.#open.delete(sent))
  }

  #refuse(why: number | string): void {
    this.refused += 1
    this.refusals[why] = (this.refusals[why] ?? 0) + 1
  }

  /** Resolves with the status, or with `no email` for an answer that is not complete. */
  #call(id: string): Promise<number | string> {
    return new Promise((resolve, reject) => {
      const headers = { 'x-test-id': id }
      const options = { host: '127.0.0.1', port: this.#port, path: '/me', headers, agent: this.#agent }
      get(options, (res) => {
        let text = ''
        res.setEncoding('utf8')
        res.on('data', (part: string) => (text += part))
        res.on('end', () => {
          const isWhole = res.statusCode !== 200 || text.includes('alice@example.org')
          resolve(isWhole ? (res.statusCode ?? 0) : 'no email')
        })
        res.on('error', reject)
      }).on('error', reject)
    })
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#open)
    this.#agent.destroy()
  }
}
