import { UsageError } from '../errors.ts'
import type { CompiledJurisdictions, Jurisdictions } from '../jurisdiction/jurisdictions.ts'
import type { PersonHandle } from '../jurisdiction/person-handle.ts'
import { readPersonId, type PersonId } from '../jurisdiction/person-id.ts'
import { aFunction, checkOptions, required, wholeNumber } from '../options.ts'
import { randomId } from '../random-id.ts'
import type { RedisClient } from '../redis/client.ts'
import { createKeyspace, PREFIX, type Keyspace } from '../redis/keyspace.ts'
import { MOVES } from './buckets.ts'
import { createHandle } from './handle.ts'
import { checkClients } from './clients.ts'
import { Location, type Condition } from './location.ts'
import { carryOn, keepMove, newMove, readMove, type Move, type MoveEnds, type MoveEvent } from './move.ts'
import { Place } from './place.ts'
import { compiledRegions, type LocationOf, type NameOf, type Regions } from './regions.ts'
import { Settling } from './settling.ts'
import { createStamps } from './stamps.ts'
import { Territory } from './territory.ts'
import { Watch, type LocationNotice } from './watch.ts'

export interface RegionalStoreOptions<J extends Jurisdictions> {
  /** The result of `regions()`. */
  readonly regions: Regions<J>
  /**
   * Your own clients, by location: ioredis with a single server or a Cluster, or node-redis through `fromNodeRedis`. Pass the
   * clients of all locations of a jurisdiction, or of none if this process must not reach it.
   */
  readonly clients: { readonly [L in LocationOf<J>]?: RedisClient | undefined }
  /** The prefix of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
  /**
   * How long a location may take to answer before another location of its jurisdiction is tried, in milliseconds. Default 250.
   */
  readonly commandTimeout?: number | undefined
  /** How often the state of the locations is checked, in milliseconds. Default 1,000. */
  readonly checkEvery?: number | undefined
  /** Called before each step of a move. If it throws or rejects, the move stops and can be resumed. */
  readonly recordMove?: ((event: MoveEvent) => void | Promise<void>) | undefined
  /** Called when the state of a location changes, such as when it stops answering or is used again. */
  readonly onNotice?: ((notice: LocationNotice) => void) | undefined
  /** The clock, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

export interface LocationStatus {
  readonly jurisdiction: string
  readonly location: string
  readonly condition: Condition
}

/** A request that `regionPin` has judged. */
export interface PinnedRequest {
  readonly portcullis?: { readonly region?: { readonly jurisdiction: string } | undefined } | undefined
}

/** Records of people, each stored only in the locations of its own jurisdiction. */
export interface RegionalStore<J extends Jurisdictions = Jurisdictions> {
  /** The handle of one jurisdiction. Pass this to your handlers, never the store. */
  in<N extends NameOf<J>>(jurisdiction: N): PersonHandle<N>
  /** The handle of the person's jurisdiction, for a request that `regionPin` has judged. */
  for(request: PinnedRequest): PersonHandle<NameOf<J>>
  /**
   * Moves a person to another jurisdiction and resolves with the new identifier. If it rejects, `resumeMoves` continues the move.
   */
  move<N extends NameOf<J>>(id: PersonId<NameOf<J>>, to: N): Promise<PersonId<N>>
  /**
   * Continues interrupted moves. Resolves with the number of moves that ended and of those that did not. A move whose record is
   * damaged, or is not where `move` keeps it, is left unchanged and counts as waiting.
   */
  resumeMoves(): Promise<{ readonly ended: number; readonly waiting: number }>
  status(): readonly LocationStatus[]
  /** Stops monitoring the locations. It does not close your clients. */
  close(): void
}

/** Everything that belongs to one jurisdiction. */
interface Realm {
  readonly territory: Territory
  readonly places: readonly Place[]
  readonly handle: PersonHandle
}

/**
 * Creates a store that keeps each person in one jurisdiction. A handle reaches only the locations of its jurisdiction. It fails
 * over among them, and rejects with `UnavailableError` if none of them answers.
 *
 * @throws ConfigError
 */
export function regionalStore<const J extends Jurisdictions>(
  options: RegionalStoreOptions<J>,
): RegionalStore<J> {
  const checked = checkOptions<RegionalStoreOptions<J>>('regionalStore', options, {
    regions: required({
      expected: 'the result of `regions()`',
      accepts: (value) => compiledRegions(value) !== undefined,
    }),
    clients: required({
      expected: 'an object with a client for each location',
      accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    }),
    prefix: PREFIX,
    commandTimeout: wholeNumber('milliseconds', 1, 60_000),
    checkEvery: wholeNumber('milliseconds', 10, 60_000),
    recordMove: aFunction,
    onNotice: aFunction,
    now: aFunction,
  })
  const table = compiledRegions(checked.regions) as CompiledJurisdictions
  const clients = checkClients(table, checked.clients)
  const nextStamp = createStamps(checked.now ?? Date.now)
  const realms = new Map<string, Realm>()
  for (const jurisdiction of table.names) {
    const own = new Map((table.locationsOf(jurisdiction) ?? []).map((name) => [name, clients.get(name)]))
    if ([...own.values()].every((client) => client === undefined)) continue
    realms.set(
      jurisdiction,
      createRealm(jurisdiction, own as ReadonlyMap<string, RedisClient>, {
        keys: createKeyspace(checked.prefix),
        timeout: checked.commandTimeout ?? 250,
        checkEvery: checked.checkEvery ?? 1_000,
        onNotice: checked.onNotice ?? nobody,
        nextStamp,
      }),
    )
  }
  const tools = { nextStamp, record: checked.recordMove ?? nobody }
  return assemble(table, realms, tools)
}

/** Declared at the top level, so that a handle which refers to it does not also keep the clients of others in reach. */
function nobody(): void {}

function assemble(
  table: CompiledJurisdictions,
  realms: ReadonlyMap<string, Realm>,
  tools: Parameters<typeof carryOn>[2],
): RegionalStore {
  const names = new Set(table.names)
  const realmOf = (jurisdiction: string | undefined): Realm => {
    const realm = realms.get(jurisdiction ?? '')
    if (realm !== undefined) return realm
    if (names.has(jurisdiction ?? ''))
      throw new UsageError(`the store has no clients for \`${jurisdiction}\``)
    throw new UsageError(`there is no such jurisdiction: the jurisdictions are ${table.names.join(', ')}`)
  }
  const endsOf = ({ source, target }: Pick<Move, 'source' | 'target'>): MoveEnds => {
    const [from = '', to = ''] = [readPersonId(source, names), readPersonId(target, names)]
    const protective = table.names.find((name) => name === from || name === to)
    return {
      from: realmOf(from).territory,
      to: realmOf(to).territory,
      journal: realmOf(protective).territory,
    }
  }
  return Object.freeze({
    in: (jurisdiction: string) => realmOf(jurisdiction).handle,
    for({ portcullis }: PinnedRequest) {
      const region = portcullis?.region
      if (region === undefined)
        throw new UsageError(
          'the request has no region: mount `regionPin` before this handler, in a mode other than `off`',
        )
      return realmOf(region.jurisdiction).handle
    },
    async move(id: string, to: string) {
      const from = readPersonId(id, names)
      if (from === undefined) throw new UsageError('the id does not belong to a person in any jurisdiction')
      if (from === to) throw new UsageError('the person is already in this jurisdiction')
      realmOf(to)
      const move = newMove(id, `${to}_${randomId()}`)
      const ends = endsOf(move)
      await keepMove(move, ends, tools)
      await carryOn(move, ends, tools)
      return move.target
    },
    resumeMoves: () => resume(realms, endsOf, tools),
    status: () =>
      [...realms].flatMap(([jurisdiction, { places }]) =>
        places.map(({ name, condition }) => ({ jurisdiction, location: name, condition })),
      ),
    close() {
      for (const { territory } of realms.values()) territory.close()
    },
  }) as unknown as RegionalStore
}

async function resume(
  realms: ReadonlyMap<string, Realm>,
  endsOf: (move: Move) => MoveEnds,
  tools: Parameters<typeof carryOn>[2],
): Promise<{ ended: number; waiting: number }> {
  let ended = 0
  let waiting = 0
  for (const { territory } of realms.values()) {
    let cursor = '0'
    do {
      const [next, ids] = await territory.ids(MOVES, cursor)
      for (const id of ids) {
        const outcome = await resumeOne(id, territory, endsOf, tools)
        if (outcome === 'ended') ended += 1
        else if (outcome === 'waiting') waiting += 1
      }
      cursor = next
    } while (cursor !== '0')
  }
  return { ended, waiting }
}

async function resumeOne(
  id: string,
  territory: Territory,
  endsOf: (move: Move) => MoveEnds,
  tools: Parameters<typeof carryOn>[2],
): Promise<'ended' | 'waiting' | 'done'> {
  let isSound = false
  try {
    const move = readMove(id, await territory.read(id))
    if (move === undefined) return 'done'
    const ends = endsOf(move)
    // `move` keeps a move only in the more protective jurisdiction. An entry elsewhere is ignored, because somebody who can write
    // there could otherwise fetch people into it.
    if (ends.journal !== territory || ends.from === ends.to) return 'waiting'
    isSound = true
    await carryOn(move, ends, tools)
    return 'ended'
  } catch (error) {
    // A `UsageError` means that there is no such person, so the move has ended.
    return isSound && error instanceof UsageError ? 'ended' : 'waiting'
  }
}

function createRealm(
  jurisdiction: string,
  clients: ReadonlyMap<string, RedisClient>,
  settings: {
    readonly keys: Keyspace
    readonly timeout: number
    readonly checkEvery: number
    readonly onNotice: (notice: LocationNotice) => void
    readonly nextStamp: () => string
  },
): Realm {
  const { keys, timeout, checkEvery, onNotice, nextStamp } = settings
  let watch: Watch | undefined
  const names = [...clients.keys()]
  const places = [...clients].map(([name, redis]) => {
    const others = names.filter((other) => other !== name)
    const location = new Location(redis, { name, jurisdiction, others, keys, timeout })
    return new Place(location, redis, (place) => watch?.lost(place))
  })
  const settling = new Settling()
  watch = new Watch(places, { jurisdiction, checkEvery, timeout, onNotice }, settling)
  const territory = new Territory(jurisdiction, places, watch, settling)
  return { territory, places, handle: createHandle(jurisdiction, territory, nextStamp) }
}
