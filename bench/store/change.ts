import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createPolicySource } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { feedOf, forkRole, nextMessage } from './child.ts'
import { usualPolicy } from './population.ts'
import { atMost, median, percentile, told, type Row } from './table.ts'

const APP_ID = 'app'
/** The number of changes before the measurement, without pauses, so that the code of every process is compiled. */
const WARM_UP = 1_500
const CHANGES = 320
/** The pause after the warm-up, in milliseconds, in which remaining work ends. */
const SETTLING = 2_000
/** The average pauses between two changes, in milliseconds, long enough that changes do not queue. */
const PAUSE_FOR_ONE = 15
const PAUSE_FOR_MANY = 50
/** P7: the limit for the delay relative to the peer, in the median and in the 99th percentile. */
const MOST_TIMES = 3

/**
 * When each revision took effect, in milliseconds of the monotonic clock that all processes share. The index is the
 * revision.
 */
interface Followed {
  readonly ours: readonly number[]
  readonly peers: readonly number[]
}

/** When a change was requested, and when it was acknowledged. */
interface Change {
  readonly called: number
  readonly acknowledged: number
}

/**
 * Measures how long it takes until a change is in effect in all of the other processes. The peer is a common
 * implementation: a hash whose readers are notified by publish/subscribe and read it again, without checks, compilation
 * or comparison of revisions.
 */
export async function measureChange(url: string, processes: number): Promise<readonly Row[]> {
  const prefix = `change-${processes}:`
  const redis = new Redis(url)
  const store = redisStore(redis, { prefix })
  const pause = (): Promise<void> =>
    sleep((processes === 1 ? PAUSE_FOR_ONE : PAUSE_FOR_MANY) * (0.5 + Math.random()))

  const write = async (revision: number): Promise<unknown> =>
    store.write({ policy: changedPolicy(revision) }, revision - 1)
  const publish = async (revision: number): Promise<unknown> =>
    redis
      .multi()
      .hset(`${prefix}peer:${APP_ID}`, { policy: JSON.stringify(changedPolicy(revision)), revision })
      .publish(`${prefix}peer`, APP_ID)
      .exec()

  const followers = Array.from({ length: processes }, () => forkRole('follow', url, prefix))
  await Promise.all(followers.map((follower) => nextMessage(follower)))
  const [ours, peers]: [Change[], Change[]] = [[], []]
  for (let revision = 1; revision <= WARM_UP; revision += 1) {
    await write(revision)
    await publish(revision)
  }
  await sleep(SETTLING)
  for (let revision = WARM_UP + 1; revision <= WARM_UP + CHANGES; revision += 1) {
    await pause()
    ours[revision] = await timed(() => write(revision))
    await pause()
    peers[revision] = await timed(() => publish(revision))
  }
  await sleep(SETTLING)
  const followed = await Promise.all(
    followers.map(async (follower) => {
      const answer = nextMessage<Followed>(follower)
      follower.send('tell')
      return answer
    }),
  )
  for (const follower of followers) follower.disconnect()
  store.close()
  redis.disconnect()
  return report(
    processes,
    delays(
      ours,
      followed.map((times) => times.ours),
    ),
    delays(
      peers,
      followed.map((times) => times.peers),
    ),
  )
}

/** A policy that differs in each revision, so that no compiled part can be reused. */
function changedPolicy(revision: number): object {
  return usualPolicy(APP_ID, `10.${revision >> 8}.${revision & 255}.0/24`)
}

interface Delays {
  readonly fromCall: readonly number[]
  readonly fromAnswer: readonly number[]
}

/** The delays of all measured changes until they were in effect in the last process. */
function delays(changes: readonly Change[], followed: readonly (readonly number[])[]): Delays {
  const counting = changes.flatMap((change, revision) => {
    const last = Math.max(...followed.map((times) => times[revision] ?? Number.NaN))
    return [{ ...change, last }]
  })
  if (counting.some(({ last }) => Number.isNaN(last))) throw new Error('a change never took effect')
  return {
    fromCall: counting.map(({ called, last }) => last - called),
    fromAnswer: counting.map(({ acknowledged, last }) => last - acknowledged),
  }
}

function report(processes: number, ours: Delays, peers: Delays): readonly Row[] {
  const rows = (name: string, { fromCall, fromAnswer }: Delays): Row[] => [
    told(`   ${name}, from the call, median`, milliseconds(median(fromCall))),
    told(`   ${name}, from the call, p99`, milliseconds(percentile(fromCall, 0.99))),
    told(`   ${name}, from the answer, median`, milliseconds(median(fromAnswer))),
    told(`   ${name}, from the answer, p99`, milliseconds(percentile(fromAnswer, 0.99))),
  ]
  const compared = (what: string, share: number): Row =>
    atMost(
      `   write, relative to the peer, ${what}`,
      percentile(ours.fromCall, share) / percentile(peers.fromCall, share),
      MOST_TIMES,
      '',
      2,
    )
  return [
    told(`P7 time until a change is in effect in all of ${processes} other processes`, ''),
    ...rows('write', ours),
    ...rows('peer: publish and HMGET', peers),
    compared('median', 0.5),
    compared('p99', 0.99),
  ]
}

function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`
}

async function timed(work: () => Promise<unknown>): Promise<Change> {
  const called = now()
  await work()
  return { called, acknowledged: now() }
}

/** The monotonic clock of the system, in milliseconds. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Runs in the other processes: records when each revision takes effect, and reports it on request. */
export async function follow(url: string, prefix = ''): Promise<void> {
  const redis = new Redis(url)
  const store = redisStore(redis, { prefix })
  const policies = createPolicySource({ store })
  const [ours, peers]: [number[], number[]] = [[], []]
  const note = (times: number[], revision: number): void => {
    const at = now()
    while (times.length <= revision) times.push(at)
  }
  /** Repeats until it succeeds, like callers that try again, because on a busy machine a read may time out. */
  const load = async (appId: string): Promise<void> => {
    for (;;) {
      try {
        return note(ours, (await policies.load(appId))?.revision ?? 0)
      } catch {
        await sleep(10)
      }
    }
  }
  store.watch?.({
    changed: (appId) => void load(appId),
    broken: () => undefined,
    restored: () => undefined,
  })

  const subscriber = redis.duplicate()
  const known = new Map<string, unknown>()
  const readAgain = async (appId: string): Promise<void> => {
    const [policy, revision] = await redis.hmget(`${prefix}peer:${appId}`, 'policy', 'revision')
    known.set(appId, JSON.parse(policy ?? 'null'))
    note(peers, Number(revision))
  }
  subscriber.on('message', (_channel, appId) => void readAgain(appId))
  await subscriber.subscribe(`${prefix}peer`)

  process.on('disconnect', () => process.exit(0))
  process.on('message', () => process.send?.({ ours, peers } satisfies Followed))
  await feedOf(policies)
  process.send?.('ready')
}
