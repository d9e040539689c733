import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createPolicySource } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { feedOf, forkRole, nextMessage } from './child.ts'
import { usualPolicy } from './population.ts'
import { atMost, median, percentile, told, type Row } from './table.ts'

const APP_ID = 'app'
/** Changes without a pause before those that count: the code of every process is compiled by then. */
const WARM_UP = 1_500
const CHANGES = 320
/** For what the warm-up has left to do, in milliseconds. */
const SETTLING = 2_000
/** Between two changes, in milliseconds, on average: long enough that they do not queue. */
const PAUSE_FOR_ONE = 15
const PAUSE_FOR_MANY = 50
/** P7: how much later than with the peer, in the median and in the slowest hundredth. */
const MOST_TIMES = 3

/** When each revision was in force, in milliseconds of the clock that all processes share; the index is the revision. */
interface Followed {
  readonly ours: readonly number[]
  readonly peers: readonly number[]
}

/** When a change was asked for, and when that was answered. */
interface Change {
  readonly called: number
  readonly acknowledged: number
}

/**
 * How long a change takes to be in force in the last of so many other processes. The peer is what is often done: a hash,
 * whose readers are told by publish/subscribe and read it again; it neither checks nor compiles nor compares revisions.
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

/** Where each revision differs from the one before, so that nothing can be used again. */
function changedPolicy(revision: number): object {
  return usualPolicy(APP_ID, `10.${revision >> 8}.${revision & 255}.0/24`)
}

interface Delays {
  readonly fromCall: readonly number[]
  readonly fromAnswer: readonly number[]
}

/** Of each change that counts, until it was in force in the last of the processes. */
function delays(changes: readonly Change[], followed: readonly (readonly number[])[]): Delays {
  const counting = changes.flatMap((change, revision) => {
    const last = Math.max(...followed.map((times) => times[revision] ?? Number.NaN))
    return [{ ...change, last }]
  })
  if (counting.some(({ last }) => Number.isNaN(last))) throw new Error('a change never came into force')
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
      `   write compared with the peer, ${what}`,
      percentile(ours.fromCall, share) / percentile(peers.fromCall, share),
      MOST_TIMES,
      '',
      2,
    )
  return [
    told(`P7 a change, until it is in force in the last of ${processes} other processes`, ''),
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

/** The other process: notes when a revision is in force, and tells it when it is asked. */
export async function follow(url: string, prefix = ''): Promise<void> {
  const redis = new Redis(url)
  const store = redisStore(redis, { prefix })
  const policies = createPolicySource({ store })
  const [ours, peers]: [number[], number[]] = [[], []]
  const note = (times: number[], revision: number): void => {
    const at = now()
    while (times.length <= revision) times.push(at)
  }
  /** Until it succeeds, as callers that come again: on a machine that is busy enough a read is given up. */
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
