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
  /** Disturbs the servers. The callers continue until it has ended. */
  chaos(isOver: () => boolean): Promise<void>
}

/** An operation that was refused, from its start to its end, in milliseconds of `performance.now()`. */
export interface Refusal {
  readonly from: number
  readonly to: number
  readonly jurisdiction: keyof World
}

/** Locations that were unreachable at the same time, in milliseconds of `performance.now()`. */
export interface Strike {
  readonly what: string
  readonly places: readonly PlaceName[]
  readonly from: number
  readonly to: number
}

/** The results of a run. */
export interface RunReport {
  readonly done: Readonly<Record<'written' | 'read' | 'removed' | 'moved' | 'refused' | 'conflicts', number>>
  /** Operations refused because no location of a jurisdiction was reachable. */
  readonly refusals: readonly Refusal[]
  /** The identifiers of acknowledged writes that were lost. */
  readonly lost: readonly string[]
  /** People that two homes or no home served at the end. */
  readonly homeless: readonly string[]
  /** Data of Europeans found in Dallas, by witness. */
  readonly hits: Readonly<Record<Witness, readonly string[]>>
  readonly searched: Readonly<Record<Witness, number>>
  /** The number of matches in London, which shows that the search works. */
  readonly inLondon: number
}

/** A person of the run, and the possible values of the record. A write answered with 503 leaves more than one. */
interface Known {
  id: string
  readonly isEuropean: boolean
  readonly possible: Set<string>
  /** Whether the person moved from Dallas to Europe, and was therefore in Dallas before. */
  hasMoved: boolean
}

const CODES = [...COUNTRIES]
const EUROPEANS = new Set<string>(TABLE.europe.countries)

class Run {
  readonly #options: RunOptions
  readonly #app: Application
  readonly #store: Opened['store']
  /** The mark in every value and every identifier of a European. */
  readonly mark = `Zoë+${randomBytes(9).toString('hex')}/é`
  readonly idMark = randomBytes(9).toString('hex')
  /** The mark in data that belongs in Dallas. */
  readonly #otherMark = randomBytes(9).toString('hex')
  readonly people: Known[] = []
  /** The new identifiers of people who moved to Europe. */
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

  /** Runs the callers, and disturbs the servers meanwhile. */
  async all(): Promise<void> {
    const { callers, chaos } = this.#options
    let isCalm = false
    const strikes = chaos(() => this.isOver).finally(() => (isCalm = true))
    await Promise.all([
      strikes,
      ...Array.from({ length: callers }, () => this.#call(() => this.isOver && isCalm)),
    ])
  }

  /** Each caller has its own people, so that the expected records are known. */
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
        // A planted fault may cause other errors.
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
    // The expected place does not come from the application, which may be wrong.
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

  /** A person of any country, with an address and a language of another. */
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

  /** Checks everybody after all locations are reachable again. */
  async settle(): Promise<Pick<RunReport, 'lost' | 'homeless'>> {
    const lost: string[] = []
    const homeless: string[] = []
    // Interrupted moves end now, and their people have new identifiers that the caller does not know.
    for (let round = 0; round < 100 && (await this.#resume()) > 0; round += 1) await sleep(100)
    for (const { id, possible } of this.people) {
      const found = await patiently(async () => this.#app.read(id))
      if (possible.has(found === undefined ? '' : JSON.stringify(found.value))) continue
      if (found === undefined && id.startsWith('world')) homeless.push(id)
      else lost.push(id)
    }
    // People who are not at their old home must be at the new one, exactly once.
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
        const from = next
        const page = await patiently(async () => handle.list(from))
        for (const id of page.ids) {
          const found = await patiently(async () => handle.get(id as never))
          if (found !== undefined) values.push(JSON.stringify(found.value))
        }
        next = page.next
      } while (next !== undefined)
    }
    return values
  }
}

/** Repeats until every location is used again. */
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

/** Lets callers sign up, read, change, remove and move people, and then searches Dallas for Europeans. */
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

/** A short outage of each European location, and one of both at once. */
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

/** Kills, pauses, freezes and cuts off random locations, also several at once. */
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
