import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { RevisionConflict, regions, UnavailableError } from '../../../src/region/index.ts'
import { COUNTRIES } from '../../../src/jurisdiction/countries.ts'
import { TABLE, type Opened, type PlaceName, type World } from '../region.ts'
import { Application, type Person } from './application.ts'
import type { Fault } from './faults.ts'
import { formsOf, type Form } from './traces.ts'
import type { WatchedWorld, Witness } from './world.ts'

export interface RunOptions {
  readonly operations: number
  readonly callers: number
  readonly random: () => number
  readonly fault?: Fault | undefined
  /** What happens to the servers meanwhile. The callers go on until it has ended. */
  chaos(isOver: () => boolean): Promise<void>
}

/** An operation that was refused, from its start to its end, in milliseconds of `performance.now()`. */
export interface Refusal {
  readonly from: number
  readonly to: number
  readonly jurisdiction: keyof World
}

/** Locations that could not be reached at the same time, in milliseconds of `performance.now()`. */
export interface Strike {
  readonly what: string
  readonly places: readonly PlaceName[]
  readonly from: number
  readonly to: number
}

/** What a run has shown. */
export interface RunReport {
  readonly done: Readonly<Record<'written' | 'read' | 'removed' | 'moved' | 'refused' | 'conflicts', number>>
  /** What was refused because no location of a jurisdiction could be asked. */
  readonly refusals: readonly Refusal[]
  /** Acknowledged writes that are not there afterwards, by identifier. */
  readonly lost: readonly string[]
  /** People who were served at two places, or at none, at the end. */
  readonly homeless: readonly string[]
  /** What was found of Europeans in Dallas, by witness. */
  readonly hits: Readonly<Record<Witness, readonly string[]>>
  readonly searched: Readonly<Record<Witness, number>>
  /** What was found of them in London, so that the search is known to find. */
  readonly inLondon: number
}

/** A person of the run, and what the record may be: more than one value after a write that was answered with 503. */
interface Known {
  id: string
  readonly isEuropean: boolean
  readonly possible: Set<string>
  /** Whether it came to Europe from Dallas, where it was rightly before. */
  hasMoved: boolean
}

const CODES = [...COUNTRIES]
const EUROPEANS = new Set<string>(TABLE.europe.countries)

class Run {
  readonly #options: RunOptions
  readonly #app: Application
  readonly #store: Opened['store']
  /** Stands in every value of a European, and in every one of their identifiers. */
  readonly mark = `Zoë+${randomBytes(9).toString('hex')}/é`
  readonly idMark = randomBytes(9).toString('hex')
  /** Stands in what is rightly in Dallas. */
  readonly #otherMark = randomBytes(9).toString('hex')
  readonly people: Known[] = []
  /** Of those who have moved to Europe. */
  readonly newIds: string[] = []
  readonly refusals: Refusal[] = []
  readonly done = { written: 0, read: 0, removed: 0, moved: 0, refused: 0, conflicts: 0 }
  #left: number
  #number = 0

  constructor(world: WatchedWorld, opened: Opened, options: RunOptions) {
    this.#options = options
    this.#store = opened.store
    this.#left = options.operations
    const around = {
      store: opened.store,
      regions: regions<World>({ jurisdictions: TABLE }),
      clients: opened.clients,
      log: (line: string) => world.log(line),
    }
    this.#app = new Application(around)
    options.fault?.plant(this.#app, around)
  }

  get isOver(): boolean {
    return this.#left <= 0
  }

  /** The callers, and what happens to the servers meanwhile. */
  async all(): Promise<void> {
    const { callers, chaos } = this.#options
    let isCalm = false
    const strikes = chaos(() => this.isOver).finally(() => (isCalm = true))
    await Promise.all([
      strikes,
      ...Array.from({ length: callers }, () => this.#call(() => this.isOver && isCalm)),
    ])
  }

  /** Each caller has people of its own, so that what a record must be is known. */
  async #call(isOver: () => boolean): Promise<void> {
    const own: Known[] = []
    while (!isOver()) {
      this.#left -= 1
      const { random } = this.#options
      const known = own[Math.floor(random() * own.length)]
      const choice = random()
      const from = performance.now()
      try {
        if (known === undefined || choice < 0.2) await this.#signUp(own)
        else if (choice < 0.6) await this.#read(known)
        else if (choice < 0.9) await this.#change(known)
        else if (choice < 0.95) await this.#remove(known, own)
        else if (!known.isEuropean) await this.#move(known)
      } catch (error) {
        if (error instanceof UnavailableError) this.#refused(error, from)
        else if (error instanceof RevisionConflict) this.done.conflicts += 1
        // A fault of the application may fail in its own ways.
        else if (this.#options.fault === undefined) throw error
      }
    }
  }

  #refused({ message }: UnavailableError, from: number): void {
    this.done.refused += 1
    const jurisdiction = /^no location of `(europe|world)`/.exec(message)?.[1] as keyof World | undefined
    if (jurisdiction !== undefined) this.refusals.push({ from, to: performance.now(), jurisdiction })
  }

  async #signUp(own: Known[]): Promise<void> {
    const person = this.#newPerson()
    const isEuropean = person.countries.some((code) => EUROPEANS.has(code))
    const local = `${isEuropean ? this.idMark : this.#otherMark}.${(this.#number += 1)}`
    // Where it belongs is not asked of the application, which may be wrong.
    const known: Known = {
      id: `${isEuropean ? 'europe' : 'world'}_${local}`,
      isEuropean,
      possible: new Set([JSON.stringify(person)]),
      hasMoved: false,
    }
    try {
      known.id = await this.#app.signUp(person, local)
      this.done.written += 1
    } catch (error) {
      known.possible.add('')
      throw error
    } finally {
      this.people.push(known)
      own.push(known)
    }
  }

  async #read(known: Known): Promise<void> {
    const found = await this.#app.read(known.id)
    this.done.read += 1
    const value = found === undefined ? '' : JSON.stringify(found.value)
    if (known.possible.has(value)) {
      known.possible.clear()
      known.possible.add(value)
    }
  }

  async #change(known: Known): Promise<void> {
    const found = await this.#app.read(known.id)
    if (found === undefined) return
    const isOfEurope = known.isEuropean || known.hasMoved
    const person = { ...found.value, name: this.#name(isOfEurope) }
    known.possible.add(JSON.stringify(person))
    await this.#app.write(known.id, person, found.revision)
    known.possible.clear()
    known.possible.add(JSON.stringify(person))
    this.done.written += 1
  }

  async #remove(known: Known, own: Known[]): Promise<void> {
    const found = await this.#app.read(known.id)
    if (found === undefined) return
    known.possible.add('')
    own.splice(own.indexOf(known), 1)
    await this.#app.remove(known.id, found.revision)
    known.possible.clear()
    known.possible.add('')
    this.done.removed += 1
  }

  async #move(known: Known): Promise<void> {
    if (known.hasMoved || (await this.#app.read(known.id)) === undefined) return
    const id = await this.#app.move(known.id, 'europe')
    known.id = id
    known.hasMoved = true
    this.newIds.push(id.slice('europe_'.length))
    this.done.moved += 1
  }

  /** Of whatever country, with an address and a language of another. */
  #newPerson(): Person {
    const { random } = this.#options
    const code = (): string => CODES[Math.floor(random() * CODES.length)] ?? 'DE'
    const european = (): string => [...EUROPEANS][Math.floor(random() * EUROPEANS.size)] ?? 'DE'
    const countries = random() < 0.3 ? [code()] : random() < 0.5 ? [european()] : [code(), european()]
    if (random() < 0.5) countries.reverse()
    const name = this.#name(countries.some((each) => EUROPEANS.has(each)))
    return {
      countries,
      language: random() < 0.5 ? 'en-US' : 'fr',
      address: `198.51.100.${Math.floor(random() * 256)}`,
      addressCountry: random() < 0.5 ? 'US' : 'DE',
      email: `${name}@example.${random() < 0.5 ? 'com' : 'org'}`,
      name,
    }
  }

  #name(isOfEurope: boolean): string {
    return `${isOfEurope ? this.mark : this.#otherMark} ${(this.#number += 1)}`
  }

  /** What became of everybody, after all places are there again. */
  async settle(): Promise<Pick<RunReport, 'lost' | 'homeless'>> {
    const lost: string[] = []
    const homeless: string[] = []
    // A move that was interrupted ends now, and its person has another identifier than the caller knows.
    for (let round = 0; round < 100 && (await this.#resume()) > 0; round += 1) await sleep(100)
    for (const { id, possible } of this.people) {
      const found = await patiently(async () => this.#app.read(id))
      if (possible.has(found === undefined ? '' : JSON.stringify(found.value))) continue
      if (found === undefined && id.startsWith('world')) homeless.push(id)
      else lost.push(id)
    }
    // Those who are not at their old home must be at the new one: their values are there once.
    const everywhere = await this.#everybody()
    const moved = homeless.filter((id) => {
      const { possible } = this.people.find((known) => known.id === id) ?? { possible: new Set<string>() }
      return [...everywhere].filter((value) => possible.has(value)).length !== 1
    })
    return { lost, homeless: moved }
  }

  async #resume(): Promise<number> {
    return patiently(async () => (await this.#store.resumeMoves()).waiting)
  }

  async #everybody(): Promise<readonly string[]> {
    const values: string[] = []
    for (const handle of [this.#store.in('europe'), this.#store.in('world')] as const) {
      let next: string | undefined
      do {
        const page = await handle.list(next)
        for (const id of page.ids) {
          const found = await handle.get(id as never)
          if (found !== undefined) values.push(JSON.stringify(found.value))
        }
        next = page.next
      } while (next !== undefined)
    }
    return values
  }
}

/** Until every place is asked again. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof UnavailableError) || attempt > 300) throw error
      await sleep(100)
    }
  }
}

/** Has callers sign people up, read, change, remove and move them, and then searches Dallas for the Europeans. */
export async function runWorkload(
  world: WatchedWorld,
  opened: Opened,
  options: RunOptions,
): Promise<RunReport> {
  const run = new Run(world, opened, options)
  await run.all()
  const settled = options.fault === undefined ? await run.settle() : { lost: [], homeless: [] }
  const marks = [run.mark, run.idMark, ...run.newIds.slice(-10)]
  const forms: readonly Form[] = marks.flatMap(formsOf)
  const inDallas = await world.search('dallas', forms)
  const inLondon = await world.search('london', forms)
  const per = <T>(pick: (witness: Witness) => T): Record<Witness, T> => ({
    wire: pick('wire'),
    monitor: pick('monitor'),
    'files of Redis': pick('files of Redis'),
    'log of the application': pick('log of the application'),
  })
  return {
    done: run.done,
    refusals: run.refusals,
    ...settled,
    hits: per((witness) => inDallas[witness].hits),
    searched: per((witness) => inDallas[witness].bytes),
    inLondon: Object.values(inLondon).flatMap(({ hits }) => hits).length,
  }
}

/** One short outage of each European place, and one of both at once. */
export function shortOutages(world: WatchedWorld): RunOptions['chaos'] {
  return async () => {
    const { london, frankfurt } = world.places.relays
    for (const away of [[london], [frankfurt], [london, frankfurt]]) {
      await sleep(100)
      for (const relay of away) {
        relay.cut()
        relay.freeze()
      }
      await sleep(250)
      for (const relay of away) relay.thaw()
    }
  }
}

/** Kills, pauses, freezes and cuts places at random, also several at once. */
export function randomChaos(
  world: WatchedWorld,
  random: () => number,
  told: (strike: Strike) => void,
): RunOptions['chaos'] {
  const { servers, relays } = world.places
  const ways: readonly (readonly [what: string, (place: PlaceName) => Promise<void>])[] = [
    [
      'killed',
      async (place) =>
        void (await hit(
          () => servers[place].kill(),
          () => servers[place].restart(),
        )),
    ],
    [
      'paused',
      async (place) =>
        hit(
          async () => servers[place].pause(),
          async () => servers[place].resume(),
        ),
    ],
    [
      'frozen',
      async (place) =>
        hit(
          async () => relays[place].freeze(),
          async () => relays[place].thaw(),
        ),
    ],
    [
      'cut',
      async (place) =>
        hit(
          async () => relays[place].cut(),
          async () => undefined,
        ),
    ],
  ]
  async function hit(begin: () => Promise<void>, end: () => Promise<void>): Promise<void> {
    await begin()
    await sleep(100 + random() * 1_500)
    await end()
    world.monitor()
  }
  return async (isOver) => {
    while (!isOver()) {
      await sleep(200 + random() * 2_000)
      const chosen: PlaceName[] =
        random() < 0.2
          ? ['london', 'frankfurt']
          : [(['london', 'frankfurt', 'dallas'] as const)[Math.floor(random() * 3)] ?? 'london']
      const [what, act] = ways[Math.floor(random() * ways.length)] ?? ways[0]!
      const from = performance.now()
      await Promise.all(chosen.map(act))
      told({ what, places: chosen, from, to: performance.now() })
    }
  }
}
