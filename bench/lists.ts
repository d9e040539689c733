/**
 * A list of a million ranges, imported from a text into Redis and then replaced, while two servers that use it answer 1,000
 * requests a second: how long until both enforce it, what became of the requests, and how long the processes paused, beside
 * how long they pause when nothing is imported. Starts its own Redis.
 *
 * Run with `npm run bench:lists`; `-- --ranges 100000` for a shorter run. Ends with 1 when a request was lost, or a server
 * worked at once, without a turn of its event loop, for more than four times as long as a known piece of work takes, which
 * is measured in the same run. Both are processor time: by the clock a shared machine pauses while nothing is imported.
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
/** The longest work at once of a server during an import, compared with the yardstick. */
const MOST_TIMES = 4

const { values } = parseArgs({ options: { ranges: { type: 'string', default: '1000000' } } })
const count = Number(values.ranges)

/** A range of either version, by turns. None holds another. The lists of two rounds have none in common. */
function rangeAt(index: number, round: number): string {
  const [high, middle, low] = [index >> 16, (index >> 8) & 255, index & 255]
  return index % 2 === 0
    ? `${11 + 20 * round + high}.${middle}.${low}.0/24`
    : `2a0${round}:${high.toString(16)}:${middle.toString(16)}:${low.toString(16)}::/64`
}

function textOf(round: number): string {
  return Array.from({ length: count }, (_, index) => `${rangeAt(index, round)}\n`).join('')
}

/** An address in the last range of IPv4 of a round. */
function lastAddress(round: number): string {
  const index = count % 2 === 0 ? count - 2 : count - 1
  return rangeAt(index, round).replace('0/24', '9')
}

/** How long a known piece of work takes here, in milliseconds of the processor: to parse a list of 10,000 ranges. */
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

/** How long all processes paused while the work went on. */
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
      `by the clock ${milliseconds(pauses.longest)}`,
      `p99 ${milliseconds(pauses.p99)}`,
      `over 5 ms ${pauses.overFive}`,
      `collection ${milliseconds(pauses.longestCollection)}`,
    ].join(', ')
    const row = `${what}: longest work at once of ${who}`
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
  rows.push(told('the yardstick: to parse 10,000 ranges', milliseconds(bound / MOST_TIMES)))
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
      told(`${what}: until it is written`, `${((written - begun) / 1_000).toFixed(2)} s`),
      told(
        `${what}: and enforced by the last server`,
        `${((enforced - written) / 1_000).toFixed(2)} s later`,
      ),
      ...rowsOf(what, reports, bound),
      told(`${what}: bytes per range`, ((reports[1]?.listBytes ?? 0) / count).toFixed(1)),
    )
    await sleep(1_000)
  }
  const statuses = await load.stop()
  const answered = [...statuses.values()].reduce((sum, number) => sum + number, 0)
  rows.push(
    told('requests', String(answered)),
    // 0: no answer came.
    told('    by status', [...statuses].map(([status, number]) => `${status}: ${number}`).join(', ')),
    exactly('requests not answered with 200', answered - (statuses.get(200) ?? 0), 0),
  )
  console.log(`Node ${process.version}, ${count} ranges, ${SERVERS} servers, ${PER_SECOND} requests a second`)
  for (const text of [header, ...rows.map(line)]) console.log(text)
  process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
} finally {
  for (const child of children) child.disconnect()
  await redis.stop()
}
process.exit()
