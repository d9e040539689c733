/**
 * Kills the processes of an audited server and its Redis at random under load, cuts the end of the append-only file and fills the
 * disk of the spool, and then looks whether every answer that was delivered is in the log, once.
 *
 * `node --import ./bench/typescript.mjs scripts/proofs/audit-kills.ts --kills 1000 --state /tmp/kills.json` takes about half an
 * hour. It goes on where it has stopped. `--mode redis` runs without a spool. Ends with 1 when anything is unaudited, doubled or wrong.
 */
import { execFileSync, fork, type ChildProcess } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { framesOf, linesOf, parseEvent, verifyLog } from '../../src/audit/index.ts'
import { redisFrames } from '../../src/redis/index.ts'
import { startRedis, type RedisServer } from '../../test/support/redis.ts'
import { seededRandom } from '../../test/support/seeded.ts'

/** What one round has shown, and what all have. */
interface Totals {
  kills: number
  processes: number
  servers: number
  cuts: number
  fulls: number
  delivered: number
  refused: number
  unaudited: number
  doubled: number
  problems: number
}

const NONE: Totals = {
  kills: 0,
  processes: 0,
  servers: 0,
  cuts: 0,
  fulls: 0,
  delivered: 0,
  refused: 0,
  unaudited: 0,
  doubled: 0,
  problems: 0,
}
const KILLS_A_ROUND = 25
const CALLERS = 8
/** How much of the append-only file is cut off at most, in milliseconds of writing. */
const CUT_AGE = 1_000

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    state: { type: 'string' },
    seed: { type: 'string', default: '1' },
    mode: { type: 'string', default: 'spool' },
  },
})

class Round {
  readonly #random: () => number
  readonly #folder = mkdtempSync(join(tmpdir(), 'portcullis-kills-'))
  readonly #spool: string
  readonly #isMounted: boolean
  readonly delivered = new Set<string>()
  readonly totals: Totals = { ...NONE }
  #server!: RedisServer
  #worker: ChildProcess | undefined
  #port = 0
  #next = 0
  #over = false
  #fullAt = 0
  readonly #sizes: { readonly at: number; readonly size: number }[] = []

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.#spool = join(this.#folder, 'spool')
    mkdirSync(this.#spool)
    mkdirSync(join(this.#folder, 'redis'))
    this.#isMounted = values.mode === 'spool' && this.#mount()
  }

  /** A small disk of its own, so that it can be full. */
  #mount(): boolean {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', this.#spool], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  }

  async run(kills: number): Promise<Totals> {
    const args = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--dir', join(this.#folder, 'redis')]
    this.#server = await startRedis({ args })
    await this.#startWorker()
    const sampling = setInterval(() => this.#sample(), 50)
    const callers = Array.from({ length: CALLERS }, () => this.#call())
    try {
      for (let kill = 0; kill < kills; kill += 1) await this.#strike()
      await sleep(300)
      this.#over = true
      await Promise.all(callers)
      await this.#check()
      return this.totals
    } finally {
      clearInterval(sampling)
      this.#over = true
      this.#worker?.kill('SIGKILL')
      await this.#server.stop()
      if (this.#isMounted) execFileSync('umount', ['-l', this.#spool])
      rmSync(this.#folder, { recursive: true, force: true })
    }
  }

  async #startWorker(): Promise<void> {
    const worker = fork(
      join(import.meta.dirname, 'audit-worker.ts'),
      [this.#server.url, this.#spool, values.mode],
      {
        execArgv: ['--import', './bench/typescript.mjs'],
        env: { ...process.env, NODE_NO_WARNINGS: '1' },
      },
    )
    this.#worker = worker
    this.#port = await new Promise<number>((resolve, reject) => {
      worker.once('message', (port) => resolve(Number(port)))
      worker.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
    })
  }

  /** Calls again and again. An answer counts as delivered when all of it has come. */
  async #call(): Promise<void> {
    while (!this.#over) {
      const id = `call-${(this.#next += 1)}`
      try {
        const answer = await fetch(`http://127.0.0.1:${this.#port}/me`, {
          headers: { 'x-test-id': id },
          signal: AbortSignal.timeout(5_000),
        })
        const { email } = (await answer.json()) as { email?: string }
        if (answer.status === 200 && email === 'alice@example.org') this.delivered.add(id)
        else this.totals.refused += 1
      } catch {
        await sleep(5)
      }
    }
  }

  async #strike(): Promise<void> {
    await sleep(100 + this.#random() * 500)
    this.totals.kills += 1
    const kind = this.#random()
    if (kind < 0.5) await this.#killWorker()
    else if (kind < 0.85 || !this.#isMounted) await this.#killServer(this.#random() < 0.4)
    else await this.#fillDisk()
  }

  async #killWorker(): Promise<void> {
    this.totals.processes += 1
    this.#worker?.removeAllListeners('exit')
    this.#worker?.kill('SIGKILL')
    await this.#startWorker()
  }

  async #killServer(cut: boolean): Promise<void> {
    this.totals.servers += 1
    await this.#server.kill()
    // What a power cut would take is what was written in the last second.
    // What came while the disk was full has no copy but that of Redis.
    if (cut && values.mode === 'spool' && Date.now() - this.#fullAt > 6_000) this.#cutEnd()
    await sleep(this.#random() * 500)
    await this.#server.restart()
  }

  get #file(): string {
    const folder = join(this.#folder, 'redis', 'appendonlydir')
    const name = readdirSync(folder).findLast((each) => each.endsWith('.incr.aof')) ?? ''
    return join(folder, name)
  }

  /** At most what was written in the last second, as `appendfsync everysec` promises; by bytes it could be minutes. */
  #cutEnd(): void {
    const { size } = statSync(this.#file)
    const before = this.#sizes.findLast(({ at }) => at <= Date.now() - CUT_AGE)?.size ?? size
    const most = Math.max(0, size - before)
    if (most === 0) return
    truncateSync(this.#file, size - Math.ceil(this.#random() * most))
    this.totals.cuts += 1
  }

  /** Remembers how large the append-only file was. */
  #sample(): void {
    try {
      this.#sizes.push({ at: Date.now(), size: statSync(this.#file).size })
      if (this.#sizes.length > 200) this.#sizes.shift()
    } catch {
      // There is none yet.
    }
  }

  async #fillDisk(): Promise<void> {
    this.totals.fulls += 1
    this.#fullAt = Date.now()
    const filler = join(this.#spool, 'filler')
    try {
      writeFileSync(filler, Buffer.alloc(8_000_000))
    } catch {
      // That is what it is for.
    }
    // Under a full disk the process may die, too.
    if (this.#random() < 0.5) await this.#killWorker()
    await sleep(300)
    rmSync(filler, { force: true })
    this.#fullAt = Date.now()
  }

  /** All that was delivered must be in the log, once. */
  async #check(): Promise<void> {
    // The newest process sends what others have left, and its own.
    await this.#killWorker()
    const redis = new Redis(this.#server.url)
    const store = redisFrames(redis)
    const deadline = Date.now() + 90_000
    while (readdirSync(this.#spool).some((name) => name.endsWith('.spool')) && Date.now() < deadline)
      await sleep(200)
    await sleep(200)
    const ids = new Set<string>()
    const [fields, operations] = [new Set<string>(), new Set<string>()]
    for await (const { bytes } of framesOf(store)) {
      for (const line of linesOf(bytes)) {
        const event = parseEvent(line)
        if (event === undefined) continue
        if (ids.has(event.id)) this.totals.doubled += 1
        ids.add(event.id)
        if (event.kind === 'field') fields.add(event.requestId)
        if (event.kind === 'operation') operations.add(event.requestId)
      }
    }
    const report = await verifyLog({ frames: framesOf(store) })
    for (const problem of report.problems) console.log(JSON.stringify(problem))
    this.totals.problems = report.found
    this.totals.delivered = this.delivered.size
    this.totals.unaudited = [...this.delivered].filter((id) => !fields.has(id) || !operations.has(id)).length
    redis.disconnect()
  }
}

function read(): Totals & { rounds: number } {
  const empty = { ...NONE, rounds: 0 }
  return values.state !== undefined && existsSync(values.state)
    ? { ...empty, ...(JSON.parse(readFileSync(values.state, 'utf8')) as object) }
    : empty
}

const wanted = Number(values.kills)
const totals = read()
while (totals.kills < wanted) {
  const round = await new Round(Number(values.seed) + totals.rounds).run(
    Math.min(KILLS_A_ROUND, wanted - totals.kills),
  )
  for (const name of Object.keys(NONE) as (keyof Totals)[]) totals[name] += round[name]
  totals.rounds += 1
  if (values.state !== undefined) writeFileSync(values.state, JSON.stringify(totals))
  console.log(JSON.stringify(totals))
}
console.log(
  `${totals.kills} strikes (${totals.processes} processes, ${totals.servers} servers, ${totals.cuts} cut files, ${totals.fulls} full disks): ` +
    `${totals.delivered} answers delivered, ${totals.refused} refused, ${totals.unaudited} unaudited, ${totals.doubled} doubled, ${totals.problems} problems of the chain`,
)
process.exitCode = totals.unaudited + totals.doubled + totals.problems === 0 && totals.delivered > 0 ? 0 : 1
