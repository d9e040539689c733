import { Redis } from 'ioredis'
import {
  regionalStore,
  regions,
  type RegionalStore,
  type RegionalStoreOptions,
} from '../../src/region/index.ts'
import { startRedis, type RedisServer } from './redis.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

export const TABLE = {
  europe: { locations: ['london', 'frankfurt'], countries: ['DE', 'FR', 'GB', 'IT'] },
  world: { locations: ['dallas'], countries: '*' },
} as const

export type World = typeof TABLE
export type WorldStore = RegionalStore<World>
export type PlaceName = 'london' | 'frankfurt' | 'dallas'

export const PLACES: readonly PlaceName[] = ['london', 'frankfurt', 'dallas']

/** Three servers, each behind a proxy that can fail, and stores on them. */
export interface ThreePlaces {
  readonly servers: Readonly<Record<PlaceName, RedisServer>>
  readonly relays: Readonly<Record<PlaceName, TcpProxy>>
  /** Opens a store with its own clients, like a separate process. */
  open(options?: Partial<RegionalStoreOptions<World>>): Promise<Opened>
  /** Sends a command to the server of a location, bypassing the proxy. */
  ask(place: PlaceName, command: string, ...args: (string | number)[]): Promise<unknown>
  /** Removes all data of all locations. */
  clear(): Promise<void>
  stop(): Promise<void>
}

export interface Opened {
  readonly store: WorldStore
  readonly clients: Readonly<Record<PlaceName, Redis>>
  close(): void
}

export async function startThreePlaces(
  args: readonly string[] = [],
  relay: (port: number, place: PlaceName) => Promise<TcpProxy> = (port) => startTcpProxy(port),
): Promise<ThreePlaces> {
  const servers = await eachPlace(() => startRedis({ args }))
  const relays = await eachPlace((place) => relay(servers[place].port, place))
  const direct = await eachPlace(async (place) =>
    new Redis(servers[place].port, '127.0.0.1').on('error', () => {}),
  )
  const opened = new Set<Opened>()
  return {
    servers,
    relays,
    async open(options = {}) {
      const clients = await eachPlace(async (place) => clientOf(relays[place].port))
      await Promise.all(PLACES.map((place) => ready(clients[place])))
      const store = regionalStore({
        regions: regions({ jurisdictions: TABLE }),
        clients,
        commandTimeout: 1_000,
        checkEvery: 200,
        ...options,
      })
      const made: Opened = {
        store,
        clients,
        close() {
          opened.delete(made)
          store.close()
          for (const place of PLACES) clients[place].disconnect()
        },
      }
      opened.add(made)
      return made
    },
    ask: (place, command, ...rest) => direct[place].call(command, ...rest),
    async clear() {
      for (const place of PLACES) await direct[place].call('FLUSHALL')
    },
    async stop() {
      for (const made of opened) made.close()
      for (const place of PLACES) {
        direct[place].disconnect()
        await relays[place].stop()
        await servers[place].stop()
      }
    },
  }
}

function clientOf(port: number): Redis {
  const client = new Redis(port, '127.0.0.1', {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => 50,
    disconnectTimeout: 50,
  })
  client.on('error', () => {}) // the rejected command reports it
  return client
}

function ready(client: Redis): Promise<void> {
  if (client.status === 'ready') return Promise.resolve()
  return new Promise((resolve) => client.once('ready', () => resolve()))
}

async function eachPlace<T>(make: (place: PlaceName) => Promise<T>): Promise<Record<PlaceName, T>> {
  const made = {} as Record<PlaceName, T>
  for (const place of PLACES) made[place] = await make(place)
  return made
}
