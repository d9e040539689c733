import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { rewriteRedis } from '../../../src/redis/index.ts'
import { RevisionConflict, UnavailableError, UsageError, type MoveEvent } from '../../../src/region/index.ts'
import type { Opened, PlaceName } from '../region.ts'
import type { RunOptions, Strike } from './run.ts'
import { formsOf } from './traces.ts'
import type { WatchedWorld } from './world.ts'

type Source = `world_${string}`
type Target = `europe_${string}`

export interface MovesOptions {
  readonly people: number
  /** The number of concurrent moves. */
  readonly together: number
  /** The number of callers that read and write other records meanwhile. */
  readonly callers: number
  /** The share of steps before which the moving process ends. */
  readonly ending: number
  readonly random: () => number
  readonly chaos: RunOptions['chaos']
  open(options: { recordMove: (event: MoveEvent) => void }): Promise<Opened>
}

/** The results of a run. */
export interface MovesReport {
  /** The number of moves that began, and of those that `resumeMoves` completed. */
  readonly begun: number
  readonly resumed: number
  /** The number of reads and writes of others meanwhile. */
  readonly load: number
  /** The number of checks which home serves a person, and of those during which a home was unreachable. */
  readonly looks: number
  readonly undecided: number
  /** People that two homes or no home served, at an instant or at the end. */
  readonly problems: readonly string[]
  /** People at their new home in the end, with an unchanged record. */
  readonly arrived: number
  /** Their traces in the files of Dallas, before and after the rewrite. */
  readonly before: readonly string[]
  readonly after: readonly string[]
  /** Where a European identifier was found in Dallas. */
  readonly newIdsInDallas: readonly string[]
}

type Answer = 'served' | 'absent' | 'cannot be asked'

/** The number of stores that move people, like as many processes. */
const MOVERS = 3
const WATCHERS = 4

class Moves {
  readonly #options: MovesOptions
  readonly mark = `Zoë+${randomBytes(9).toString('hex')}`
  readonly #sources: readonly Source[]
  /** The new identifiers of each person. More than one if a process ended before the move began. */
  readonly #targets = new Map<string, Set<Target>>()
  readonly #ends = new Map<string, { source?: string; target?: string }>()
  /** People whose move may be in progress. */
  readonly #underWay = new Set<Source>()
  readonly #hasServed = new Set<string>()
  readonly problems = new Set<string>()
  readonly counts = { begun: 0, resumed: 0, load: 0, looks: 0, undecided: 0 }
  #movers: readonly Opened[] = []
  #watcher!: Opened
  #isOver = false

  constructor(options: MovesOptions) {
    this.#options = options
    this.#sources = Array.from({ length: options.people }, (_, index): Source => `world_moved.${index}`)
  }

  async all(): Promise<void> {
    const { open, chaos, callers } = this.#options
    this.#watcher = await open({ recordMove: () => undefined })
    this.#movers = await Promise.all(
      Array.from({ length: MOVERS }, () => open({ recordMove: (event) => this.#hear(event) })),
    )
    try {
      const { store } = this.#watcher
      // A write that failed may have been stored all the same: then the next attempt finds it.
      await inTurns(this.#sources, (id) =>
        store
          .in('world')
          .put(id, this.#valueOf(id), 0)
          .catch((error: unknown) => {
            if (!(error instanceof RevisionConflict)) throw error
          }),
      )
      const others = [
        chaos(() => this.#isOver),
        this.#resume(),
        ...Array.from({ length: WATCHERS }, () => this.#watch()),
        ...Array.from({ length: callers }, (_, caller) => this.#call(caller)),
      ]
      await Promise.all([this.#move().finally(() => (this.#isOver = true)), ...others])
      await this.#resumeAll()
    } finally {
      for (const mover of this.#movers) mover.close()
    }
  }

  #valueOf(id: string): { readonly id: string; readonly name: string } {
    return { id, name: `${this.mark} ${id}` }
  }

  /** Called before each step, so that the new identifier is known before the copy can be read. */
  #hear(event: MoveEvent): void {
    const end = this.#ends.get(event.move) ?? {}
    this.#ends.set(event.move, end)
    if (event.jurisdiction === 'world') end.source = event.person
    else end.target = event.person
    const { source, target } = end
    if (source !== undefined && target !== undefined)
      this.#targets.set(source, (this.#targets.get(source) ?? new Set()).add(target as Target))
    if (this.#options.random() < this.#options.ending) throw new Error('the process ends')
  }

  /** Moves everybody, and tries again with those who remain. */
  async #move(): Promise<void> {
    let left: readonly Source[] = this.#sources
    while (left.length > 0) {
      const queue = [...left]
      const work = async (mover: Opened): Promise<void> => {
        for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
          this.counts.begun += 1
          this.#underWay.add(id)
          await mover.store.move(id, 'europe').catch(async (error: unknown) => {
            if (!isExpected(error)) throw error
            if (error instanceof UnavailableError) await sleep(200)
          })
        }
      }
      await Promise.all(
        Array.from({ length: this.#options.together }, (_, index) =>
          work(this.#movers[index % MOVERS] as Opened),
        ),
      )
      // Moves that began are resumed, and not started again.
      await this.#resumeAll()
      const stayed = new Set<Source>()
      await inTurns(left, async (id) => {
        if ((await this.#ask(id)) !== 'absent') stayed.add(id)
      })
      left = left.filter((id) => stayed.has(id))
    }
  }

  /** Resumes the moves that others have left, until the end. */
  async #resume(): Promise<void> {
    for (let turn = 0; !this.#isOver; turn += 1) {
      await sleep(100)
      await this.#resumeOnce(this.#movers[turn % MOVERS] as Opened)
    }
  }

  /** Resolves with the number of remaining moves. */
  async #resumeOnce({ store }: Opened): Promise<number> {
    try {
      const { ended, waiting } = await store.resumeMoves()
      this.counts.resumed += ended
      return ended + waiting
    } catch (error) {
      if (!isExpected(error)) throw error
      return 1
    }
  }

  async #ask(id: Source | Target): Promise<Answer> {
    const { store } = this.#watcher
    try {
      const found = id.startsWith('world_')
        ? await store.in('world').get(id as Source)
        : await store.in('europe').get(id as Target)
      return found === undefined ? 'absent' : 'served'
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error
      return 'cannot be asked'
    }
  }

  async #watch(): Promise<void> {
    const { random } = this.#options
    while (!this.#isOver) {
      const anybody = this.#sources[Math.floor(random() * this.#sources.length)] as Source
      for (const id of [...this.#underWay, anybody]) await this.#look(id)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /**
   * Both homes cannot be read at the same instant, so the order matters: after the new home serves a person, the old
   * one must never do so again, and when the old home no longer has a person, the new one must.
   */
  async #look(source: Source): Promise<void> {
    this.counts.looks += 1
    for (const target of this.#targetsOf(source)) {
      const isKnown = this.#hasServed.has(target)
      const atNew = await this.#ask(target)
      if (isKnown && atNew === 'absent') this.problems.add(`${source} has left the new home`)
      if (atNew !== 'served') continue
      this.#hasServed.add(target)
      const others = [source, ...this.#targetsOf(source)].filter((id) => id !== target)
      for (const other of others)
        if ((await this.#ask(other)) === 'served') this.problems.add(`${source} has two homes`)
      this.#underWay.delete(source)
      return
    }
    const atOld = await this.#ask(source)
    if (atOld === 'cannot be asked') this.counts.undecided += 1
    if (atOld !== 'absent') return
    const answers = await Promise.all(this.#targetsOf(source).map((target) => this.#ask(target)))
    if (answers.every((answer) => answer === 'absent')) this.problems.add(`${source} has no home`)
    else if (!answers.includes('served')) this.counts.undecided += 1
  }

  #targetsOf(source: string): readonly Target[] {
    return [...(this.#targets.get(source) ?? [])]
  }

  /** Reads and writes the records of others, in both jurisdictions. */
  async #call(caller: number): Promise<void> {
    const { store } = this.#movers[caller % MOVERS] as Opened
    const handle = caller % 2 === 0 ? store.in('europe') : store.in('world')
    const id = `${handle.jurisdiction}_caller.${caller}` as never
    while (!this.#isOver) {
      try {
        const found = await handle.get<object>(id)
        await handle.put(id, { turn: this.counts.load }, found?.revision ?? 0)
        this.counts.load += 1
      } catch (error) {
        if (!isExpected(error)) throw error
        await sleep(20)
      }
    }
  }

  /** Several processes resume the remaining moves at once, and may end again. */
  async #resumeAll(): Promise<void> {
    for (let round = 0; ; round += 1) {
      const left = await Promise.all(this.#movers.map((mover) => this.#resumeOnce(mover)))
      if (left.every((count) => count === 0)) return
      if (round > 3_000) throw new Error('moves do not come to an end')
      await sleep(100)
    }
  }

  /** The number of people at a new home with an unchanged record. */
  async arrived(): Promise<number> {
    const { store } = this.#watcher
    let count = 0
    await inTurns(this.#sources, async (id) => {
      const found = [
        await store.in('world').get(id),
        ...(await Promise.all(this.#targetsOf(id).map((target) => store.in('europe').get(target)))),
      ]
      const homes = found.filter((each) => each !== undefined)
      const [home] = homes
      if (homes.length !== 1) this.problems.add(`${id} has ${homes.length} homes in the end`)
      else if (home?.id.startsWith('world_') === true) this.problems.add(`${id} has stayed`)
      else if (JSON.stringify(home?.value) === JSON.stringify(this.#valueOf(id))) count += 1
    })
    return count
  }

  get watcher(): Opened {
    return this.#watcher
  }
}

/** Whether an error is expected while servers are killed and others move the same person. */
function isExpected(error: unknown): boolean {
  return (
    error instanceof UnavailableError ||
    error instanceof RevisionConflict ||
    (error instanceof UsageError && error.message.includes('no such person to move')) ||
    (error as Error).message === 'the process ends'
  )
}

/** Handles some at a time, and repeats each while a location is unreachable. */
async function inTurns<T>(all: readonly T[], act: (each: T) => Promise<unknown>): Promise<void> {
  const queue = [...all]
  const turn = async (): Promise<void> => {
    for (let each = queue.pop(); each !== undefined; each = queue.pop()) {
      const one = each
      await patiently(() => act(one))
    }
  }
  await Promise.all(Array.from({ length: 16 }, turn))
}

/** How long a location may be unreachable, in milliseconds: a killed server first loads its append-only file. */
const PATIENCE = 300_000

async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof UnavailableError) || performance.now() > deadline) throw error
      await sleep(100)
    }
  }
}

/** Moves people from Dallas to Europe, checks who serves them, and then searches Dallas for them. */
export async function runMoves(world: WatchedWorld, options: MovesOptions): Promise<MovesReport> {
  const moves = new Moves(options)
  await moves.all()
  try {
    const arrived = await moves.arrived()
    const forms = formsOf(moves.mark)
    const inFiles = async (): Promise<readonly string[]> =>
      (await world.search('dallas', forms))['files of Redis'].hits
    const before = await inFiles()
    await rewriteRedis(moves.watcher.clients.dallas)
    const after = await inFiles()
    const newIds = await world.search('dallas', formsOf('europe_'))
    return {
      ...moves.counts,
      problems: [...moves.problems],
      arrived,
      before,
      after,
      newIdsInDallas: Object.values(newIds).flatMap(({ hits }) => hits),
    }
  } finally {
    moves.watcher.close()
  }
}

/**
 * Kills random locations, sometimes London and Frankfurt at once. `away` and `pause` are the maximum times in
 * milliseconds.
 */
export function randomKills(
  world: WatchedWorld,
  { random, away, pause }: { random: () => number; away: number; pause: number },
  told: (strike: Strike) => void,
): RunOptions['chaos'] {
  const { servers } = world.places
  const one = (): PlaceName =>
    (['london', 'frankfurt', 'dallas'] as const)[Math.floor(random() * 3)] ?? 'dallas'
  return async (isOver) => {
    do {
      const places: readonly PlaceName[] = random() < 0.2 ? ['london', 'frankfurt'] : [one()]
      const from = performance.now()
      await Promise.all(places.map((place) => servers[place].kill()))
      await sleep(random() * away)
      await Promise.all(places.map((place) => servers[place].restart()))
      world.monitor()
      told({ what: 'killed', places, from, to: performance.now() })
      await sleep(random() * pause)
    } while (!isOver())
  }
}
