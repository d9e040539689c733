import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LogProblem } from '../../src/audit/index.ts'
import { auditedLog } from './audited-log.ts'
import { compiled } from './compiled.ts'
import { startRedis, type RedisServer } from './redis.ts'
import { seededRandom } from './seeded.ts'
import { smallDisk, type SmallDisk } from './small-disk.ts'

/** The results of one round, or of all rounds. */
export interface Totals {
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

export const NO_TOTALS: Totals = {
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
const CALLERS = 8
/** The maximum truncation of the append-only file, as a fraction of the time for which Redis may lose data. */
const CUT_PART = 0.2

export interface KillOptions {
  readonly seed: number
  /** `spool`, or `redis` for a log without a spool. */
  readonly mode: 'spool' | 'redis'
  /** How long Redis may lose acknowledged data, in milliseconds. */
  readonly settlesAfter: number
}

/** A fault that is caused at random. */
export type Strike = 'process' | 'server' | 'cut' | 'full'

/**
 * Kills an audited server under load and its Redis, truncates the append-only file and fills the disk of the spool.
 * Then checks that every delivered answer is in the log exactly once.
 */
export class KillRound {
  readonly #options: KillOptions
  readonly #random: () => number
  readonly #folder = mkdtempSync(join(tmpdir(), 'portcullis-kills-'))
  #spool: string
  /** The small disk of the spool, if the system allows one. */
  #disk: SmallDisk | undefined
  readonly delivered = new Set<string>()
  readonly totals: Totals = { ...NO_TOTALS }
  problems: readonly LogProblem[] = []
  #server!: RedisServer
  #worker: ChildProcess | undefined
  #port = 0
  #next = 0
  #over = false
  #fullAt = 0
  readonly #sizes: { readonly at: number; readonly size: number }[] = []

  constructor(options: KillOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    this.#spool = join(this.#folder, 'spool')
    mkdirSync(this.#spool)
    mkdirSync(join(this.#folder, 'redis'))
  }

  /** Makes this number of random strikes, or these strikes. */
  async run(strikes: number | readonly Strike[]): Promise<Totals> {
    this.#disk = this.#options.mode === 'spool' ? await smallDisk() : undefined
    this.#spool = this.#disk?.path ?? this.#spool
    const args = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--dir', join(this.#folder, 'redis')]
    this.#server = await startRedis({ args })
    await this.#startWorker()
    const sampling = setInterval(() => this.#sample(), 50)
    const callers = Array.from({ length: CALLERS }, () => this.#call())
    try {
      const list = typeof strikes === 'number' ? Array.from({ length: strikes }, () => this.#draw()) : strikes
      // The load must run before the first strike.
      for (let tries = 0; this.delivered.size < 20 && tries < 3_000; tries += 1) await sleep(20)
      for (const strike of list) await this.#strike(strike)
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
      this.#disk?.remove()
      rmSync(this.#folder, { recursive: true, force: true })
    }
  }

  async #startWorker(): Promise<void> {
    const { mode, settlesAfter } = this.#options
    const worker = fork(
      compiled('test/support/audited-process.ts'),
      [this.#server.url, this.#spool, mode, String(settlesAfter)],
      { execArgv: [], env: { ...process.env, NODE_NO_WARNINGS: '1' } },
    )
    this.#worker = worker
    this.#port = await new Promise<number>((resolve, reject) => {
      worker.once('message', (port) => resolve(Number(port)))
      worker.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
    })
  }

  /** Sends requests in a loop. An answer counts as delivered when it has arrived completely. */
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

  #draw(): Strike {
    const kind = this.#random()
    if (kind < 0.5) return 'process'
    if (kind < 0.7) return 'server'
    // Events that arrive while the disk is full exist only in Redis, so files are truncated only in other rounds.
    return this.#disk !== undefined && this.#options.seed % 2 === 1 ? 'full' : 'cut'
  }

  async #strike(strike: Strike): Promise<void> {
    await sleep(100 + this.#random() * 500)
    this.totals.kills += 1
    if (strike === 'process') await this.#killWorker()
    else if (strike === 'full') await this.#fillDisk()
    else await this.#killServer(strike === 'cut')
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
    // A power failure would lose what was written in the last second.
    const { mode, settlesAfter } = this.#options
    if (cut && mode === 'spool' && Date.now() - this.#fullAt > settlesAfter + 1_000) this.#cutEnd()
    await sleep(this.#random() * 500)
    await this.#server.restart()
  }

  get #file(): string {
    const folder = join(this.#folder, 'redis', 'appendonlydir')
    const name = readdirSync(folder).findLast((each) => each.endsWith('.incr.aof')) ?? ''
    return join(folder, name)
  }

  /** Truncates only what was written shortly before. A number of bytes could be minutes. */
  #cutEnd(): void {
    const { size } = statSync(this.#file)
    const before =
      this.#sizes.findLast(({ at }) => at <= Date.now() - CUT_PART * this.#options.settlesAfter)?.size ?? size
    const most = Math.max(0, size - before)
    if (most === 0) return
    truncateSync(this.#file, size - Math.ceil(this.#random() * most))
    this.totals.cuts += 1
  }

  /** Records the size of the append-only file over time. */
  #sample(): void {
    try {
      this.#sizes.push({ at: Date.now(), size: statSync(this.#file).size })
      if (this.#sizes.length > 200) this.#sizes.shift()
    } catch {
      // The file does not exist yet.
    }
  }

  async #fillDisk(): Promise<void> {
    const filler = join(this.#spool, 'filler')
    if (this.#disk === undefined) return
    this.totals.fulls += 1
    this.#fullAt = Date.now()
    fill(filler)
    // The process may also die while the disk is full.
    if (this.#random() < 0.5) await this.#killWorker()
    await sleep(300)
    rmSync(filler, { force: true })
    this.#fullAt = Date.now()
  }

  /** Whether a spool has events that the store may not have. A process keeps an empty file. */
  #hasSpooled(): boolean {
    return readdirSync(this.#spool).some((name) => {
      if (!name.endsWith('.spool')) return false
      // Another process may have removed it.
      return (statSync(join(this.#spool, name), { throwIfNoEntry: false })?.size ?? 0) > 0
    })
  }

  /** Checks that all delivered answers are in the log exactly once. */
  async #check(): Promise<void> {
    // The newest process sends its own events and those that others have left.
    await this.#killWorker()
    const deadline = Date.now() + 90_000
    while (this.#hasSpooled() && Date.now() < deadline) await sleep(200)
    await sleep(200)
    const { unaudited, doubled, found, problems } = await auditedLog(this.#server.url, this.delivered)
    Object.assign(this.totals, { unaudited, doubled, problems: found, delivered: this.delivered.size })
    this.problems = problems
  }
}

/** Writes to a small disk until it is full. */
function fill(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(8_000_000))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return
    throw error
  }
  throw new Error('the disk was not full')
}
