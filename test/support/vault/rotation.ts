import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { UnavailableError } from '../../../src/errors.ts'
import { compiled } from '../compiled.ts'
import type { RedisServer } from '../redis.ts'
import { redisPersonKeys } from '../../../src/redis/index.ts'
import {
  createFieldVault,
  createVault,
  keysInUse,
  reseal,
  type FieldVault,
  type Vault,
} from '../../../src/vault/index.ts'

/** The keys from which both processes create their vaults. */
export interface RotationKeys {
  readonly a: string
  readonly b: string
}

export interface RotationTask {
  readonly url: string
  readonly prefix: string
  readonly keys: RotationKeys
}

export interface RotationTotals {
  people: number
  kills: number
  /** How often Redis was killed. */
  serverKills: number
  /** The number of calls that failed because Redis was away. */
  away: number
  /** People whose erasure failed for that reason. They may or may not be erased. */
  unsure: number
  /** The number of people added and erased during the rotation. */
  came: number
  erased: number
  /** The number of fields read meanwhile, and of failed reads. */
  read: number
  failed: number
  /** Fields that could be opened with only the new key. */
  opened: number
  lost: number
  /** Erased people who can still be read. */
  risen: number
  done: boolean
}

export const vaultsOf = ({ a, b }: RotationKeys) => ({
  before: createVault({ keys: [{ id: 'a', key: a }] }),
  both: createVault({
    keys: [
      { id: 'b', key: b },
      { id: 'a', key: a },
    ],
  }),
  after: createVault({
    keys: [
      { id: 'b', key: b },
      { id: 'a', state: 'destroyed' },
    ],
  }),
})

function fieldsOf(redis: Redis, prefix: string, vault: Vault): FieldVault {
  return createFieldVault({
    vault,
    people: redisPersonKeys(redis, { prefix }),
    region: 'europe',
    timeout: 30_000,
  })
}

/** In milliseconds. */
const LONGEST_OUTAGE = 300

const valueOf = (person: string): string => `${person}@example.org`

/** Reseals until everything is done, in the process that is killed repeatedly. */
export async function resealAll({ url, prefix, keys }: RotationTask): Promise<void> {
  const redis = new Redis(url, { disconnectTimeout: 50 })
  redis.on('error', () => undefined)
  try {
    const { both } = vaultsOf(keys)
    await reseal({ vault: both, holders: [fieldsOf(redis, prefix, both)] })
  } catch (error) {
    // Redis was killed. The next process continues.
    if (!(error instanceof UnavailableError)) throw error
    process.exitCode = 1
  } finally {
    redis.disconnect()
  }
}

/**
 * Creates people with key `a`. Another process moves them to key `b`, and is killed `kills` times at random moments,
 * while people are added, read and erased. Finally reads everybody with only key `b`.
 */
export async function rotate(
  task: RotationTask,
  options: {
    readonly people: number
    readonly kills: number
    readonly random: () => number
    /** The longest time until a kill, in milliseconds. */
    readonly patience: number
    /** If given, every second turn also kills this server, which must write every change to disk. */
    readonly server?: Pick<RedisServer, 'kill' | 'restart'>
  },
): Promise<RotationTotals> {
  const { people, kills, random, server } = options
  const redis = new Redis(task.url, { disconnectTimeout: 50, retryStrategy: () => 30 })
  redis.on('error', () => undefined)
  try {
    const vaults = vaultsOf(task.keys)
    const sealed = await makePeople(fieldsOf(redis, task.prefix, vaults.before), people)
    const totals: RotationTotals = {
      people,
      kills: 0,
      serverKills: 0,
      away: 0,
      unsure: 0,
      came: 0,
      erased: 0,
      read: 0,
      failed: 0,
      opened: 0,
      lost: 0,
      risen: 0,
      done: false,
    }
    const gone = new Map<string, string>()
    const load = runLoad(fieldsOf(redis, task.prefix, vaults.both), { sealed, gone, totals, random })
    for (let turn = 0; totals.kills < kills; turn += 1) {
      const worker = startWorker(task)
      const ended = once(worker, 'exit')
      await sleep(random() * options.patience)
      if (server !== undefined && turn % 2 === 1) {
        totals.serverKills += 1
        await server.kill()
        await sleep(random() * LONGEST_OUTAGE)
        await server.restart()
      }
      if (worker.exitCode === null && worker.kill('SIGKILL')) totals.kills += 1
      await ended
    }
    await load.stop()
    await once(startWorker(task), 'exit')
    const after = fieldsOf(redis, task.prefix, vaults.after)
    totals.done = (await keysInUse({ vault: vaults.after, holders: [after] })).done
    for (const [person, text] of sealed) {
      const opened = await after.open(person, 'email', text).catch(() => undefined)
      if (opened === valueOf(person)) totals.opened += 1
      else totals.lost += 1
    }
    for (const [person, text] of gone)
      if ((await after.open(person, 'email', text).catch(() => undefined)) !== undefined) totals.risen += 1
    return totals
  } finally {
    redis.disconnect()
  }
}

async function makePeople(fields: FieldVault, count: number): Promise<Map<string, string>> {
  const sealed = new Map<string, string>()
  for (let from = 0; from < count; from += 500) {
    const names = Array.from({ length: Math.min(500, count - from) }, (_, at) => `p${from + at}`)
    const texts = await Promise.all(names.map((person) => fields.seal(person, 'email', valueOf(person))))
    for (const [at, person] of names.entries()) sealed.set(person, texts[at] ?? '')
  }
  return sealed
}

/** Adds, reads and erases people meanwhile. */
function runLoad(
  fields: FieldVault,
  state: {
    readonly sealed: Map<string, string>
    readonly gone: Map<string, string>
    readonly totals: RotationTotals
    readonly random: () => number
  },
): { stop(): Promise<void> } {
  const { sealed, gone, totals, random } = state
  const first = sealed.size
  let running = true
  let made = 0
  /** The result, or `away` if Redis is away. */
  const unlessAway = async <T>(call: Promise<T>): Promise<T | 'away'> => {
    try {
      return await call
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error
      totals.away += 1
      return 'away'
    }
  }
  const add = async (): Promise<void> => {
    const came = `p${first + made}`
    made += 1
    const text = await unlessAway(fields.seal(came, 'email', valueOf(came)))
    if (text === 'away') return
    sealed.set(came, text)
    totals.came += 1
  }
  const erase = async (): Promise<void> => {
    const erased = `p${Math.floor(random() * first)}`
    const text = sealed.get(erased)
    if (text === undefined) return
    sealed.delete(erased)
    if ((await unlessAway(fields.erase(erased))) === 'away') {
      totals.unsure += 1
      return
    }
    gone.set(erased, text)
    totals.erased += 1
  }
  const read = async (): Promise<void> => {
    const person = `p${Math.floor(random() * first)}`
    const kept = sealed.get(person)
    if (kept === undefined) return
    totals.read += 1
    const opened = await unlessAway(fields.open(person, 'email', kept)).catch(() => undefined)
    if (opened !== 'away' && opened !== valueOf(person)) totals.failed += 1
  }
  const work = async (): Promise<void> => {
    while (running) {
      await add()
      if (made % 3 === 0) await erase()
      await read()
      await sleep(5)
    }
  }
  const done = work()
  return {
    async stop() {
      running = false
      await done
    },
  }
}

function startWorker(task: RotationTask): ChildProcess {
  return fork(compiled('test/support/vault/worker.ts'), [JSON.stringify(task)], {
    execArgv: [],
    stdio: 'inherit',
  })
}
