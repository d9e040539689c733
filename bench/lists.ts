/**
 * Imports a list of a million ranges from text into Redis and then replaces it, while two servers that use the list
 * answer 1,000 requests per second. Measures how long it takes until both servers enforce it, what happens to the
 * requests, and how long the event loops are blocked, compared with the time without an import. Starts its own Redis.
 *
 * Run it with `npm run bench:lists`; `-- --ranges 100000` makes a shorter run. Exits with 1 if a request is lost, or if
 * the event loop of a server is blocked for more than four times as long as a reference task takes in the same run.
 * Both are CPU time, because on a shared machine wall-clock time contains pauses even without an import.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { parseList } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { startRedis } from '../test/support/redis.ts'
import { call, loadServers } from './lists/load.ts'
import { watchPauses, type Pauses } from './lists/pauses.ts'
import type { Report } from './lists/server.ts'
import { processorTime } from './ip/contest.ts'
import { atMost, exactly, header, line, median, told, type Row } from './store/table.ts'

const SERVERS = 2
const PER_SECOND = 1_000
const APP = 'app'
const LIST = 'partners'
/** The limit for the longest time that the event loop of a server is blocked, relative to the reference task. */
const MOST_TIMES = 4

const { values } = parseArgs({ options: { ranges: { type: 'string', default: '1000000' } } })
const count = Number(values.ranges)

/**
 * Ranges, alternately IPv4 and IPv6. No range contains another, and the lists of two rounds have no range in common.
 */
function rangeAt(index: number, round: number): string {
  const [high, middle, low] = [index >> 16, (index >> 8) & 255, index & 255]
  return index % 2 === 0
    ? `${11 + 20 * round + high}.${middle}.${low}.0/24`
    : `2a0${round}:${high.toString(16)}:${middle.toString(16)}:${low.toString(16)}::/64`
}

function textOf(round: number): string {
  return Array.from({ length: count }, (_, index) => `${rangeAt(index, round)}\n`).join('')
}

/** An address in the last IPv4 range of a round. */
function lastAddress(round: number): string {
  const index = count % 2 === 0 ? count - 2 : count - 1
  return rangeAt(index, round).replace('0/24', '9')
}

/** The CPU time of the reference task in milliseconds: parsing a list of 10,000 ranges. */
function yardstick(): number {
  const text = Array.from({ length: 10_000 }, (_, index) => `${rangeAt(index, 0)}\n`).join('')
  const times = Array.from({ length: 21 }, () => {
    const begun = processorTime()
    for (const entry of parseList(text, 'text')) if (entry.range === '') throw new Error('an empty range')
    return processorTime() - begun
  })
  return median(times)
}

const own = watchPauses()
const redis = await startRedis()
const children: ChildProcess[] = []

/** Runs the work, and returns how long the event loop of each process was blocked meanwhile. */
async function duringWork(work: () => Promise<unknown>): Promise<readonly [Pauses, ...Report[]]> {
  for (const child of children) child.send('begin')
  own.begin()
  await work()
  const mine = own.end()
  const reports = await Promise.all(
    children.map(async (child) => {
      child.send('end')
      return ((await once(child, 'message')) as [Report])[0]
    }),
  )
  return [mine, ...reports]
}

function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`
}

function rowsOf(what: string, [writer, ...servers]: readonly [Pauses, ...Report[]], bound?: number): Row[] {
  return [writer, ...servers].flatMap((pauses, index) => {
    const who = index === 0 ? 'the writer (and caller)' : `server ${index}`
    const longest = pauses.longestWork
    const beside = [
      `wall-clock ${milliseconds(pauses.longest)}`,
      `p99 ${milliseconds(pauses.p99)}`,
      `over 5 ms ${pauses.overFive}`,
      `collection ${milliseconds(pauses.longestCollection)}`,
    ].join(', ')
    const row = `${what}: longest block of ${who}`
    const first =
      bound === undefined || index === 0
        ? told(row, milliseconds(longest))
        : atMost(row, longest, bound, 'ms')
    return [first, told(`    ${beside}`, '')]
  })
}

try {
  const store = redisStore(new Redis(redis.url))
  const section = { mode: 'enforce', ranges: ['192.0.2.0/24'], lists: [LIST] }
  await store.write({ policy: { appId: APP, ipWhitelist: section } }, 0)
  const program = join(import.meta.dirname, 'lists', 'server.ts')
  const ports: number[] = []
  for (let index = 0; index < SERVERS; index += 1) {
    const child = fork(program, [redis.url, APP])
    children.push(child)
    ports.push(((await once(child, 'message')) as [number])[0])
  }
  const texts = [textOf(0), textOf(1)]
  const load = loadServers(ports, PER_SECOND)
  await sleep(3_000)
  const baseline = await duringWork(() => sleep(8_000))
  const rows: Row[] = rowsOf('no import', baseline)
  const bound = MOST_TIMES * yardstick()
  rows.push(told('reference task: parsing 10,000 ranges', milliseconds(bound / MOST_TIMES)))
  for (const [round, text] of texts.entries()) {
    const what = round === 0 ? 'import' : 'replacement'
    let [begun, written, enforced] = [0, 0, 0]
    const reports = await duringWork(async () => {
      begun = performance.now()
      await store.writeList(LIST, parseList(text, 'text'), round)
      written = performance.now()
      for (const port of ports) while ((await call(port, lastAddress(round))) !== 200) await sleep(5)
      enforced = performance.now()
    })
    rows.push(
      told(`${what}: written after`, `${((written - begun) / 1_000).toFixed(2)} s`),
      told(`${what}: enforced by all servers`, `${((enforced - written) / 1_000).toFixed(2)} s later`),
      ...rowsOf(what, reports, bound),
      told(`${what}: bytes per range`, ((reports[1]?.listBytes ?? 0) / count).toFixed(1)),
    )
    await sleep(1_000)
  }
  const statuses = await load.stop()
  const answered = [...statuses.values()].reduce((sum, number) => sum + number, 0)
  rows.push(
    told('requests', String(answered)),
    // Status 0 means that there was no answer.
    told('    by status', [...statuses].map(([status, number]) => `${status}: ${number}`).join(', ')),
    exactly('requests without status 200', answered - (statuses.get(200) ?? 0), 0),
  )
  console.log(
    `Node ${process.version}, ${count} ranges, ${SERVERS} servers, ${PER_SECOND} requests per second`,
  )
  for (const text of [header, ...rows.map(line)]) console.log(text)
  process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
} finally {
  for (const child of children) child.disconnect()
  await redis.stop()
}
process.exit()
