import { ConfigError, SECRET, wrongOption, type ConfigIssue } from '../errors.ts'
import type { CompiledJurisdictions } from '../jurisdiction/jurisdictions.ts'
import type { RedisClient } from '../redis/client.ts'

const NAME = 'regionalStore.clients'

/**
 * The clients by location: for each jurisdiction, those of all its locations or none.
 *
 * @throws ConfigError with everything that is wrong
 */
export function checkClients(
  table: CompiledJurisdictions,
  given: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, RedisClient> {
  const clients = new Map(Object.entries(given).filter(([, client]) => client !== undefined))
  const issues = [...eachClient(table, clients), ...wholeJurisdictions(table, clients)]
  const [first, ...more] = issues
  if (first !== undefined) throw new ConfigError([first, ...more])
  return clients as ReadonlyMap<string, RedisClient>
}

function eachClient(table: CompiledJurisdictions, clients: ReadonlyMap<string, unknown>): ConfigIssue[] {
  const owners = new Map<unknown, string>()
  return [...clients].flatMap(([location, client]) => {
    const option = `${NAME}.${location}`
    if (table.jurisdictionOf(location) === undefined)
      return [
        wrongOption(
          option,
          `left out, because the locations are ${table.locations.join(', ')}`,
          hidden(client),
        ),
      ]
    if (!isClient(client)) {
      const expected = 'a client of ioredis, or one of node-redis through `fromNodeRedis`'
      return [wrongOption(option, expected, hidden(client))]
    }
    const owner = owners.get(client)
    owners.set(client, location)
    if (owner === undefined) return []
    return [wrongOption(option, `a client of its own, because \`${owner}\` uses this one`, hidden(client))]
  })
}

/** A process with the client of only one location would write records that the other one lacks. */
function wholeJurisdictions(
  table: CompiledJurisdictions,
  clients: ReadonlyMap<string, unknown>,
): ConfigIssue[] {
  const issues = table.names.flatMap((jurisdiction) => {
    const locations = table.locationsOf(jurisdiction) ?? []
    const missing = locations.filter((location) => !clients.has(location))
    if (missing.length === 0 || missing.length === locations.length) return []
    const expected = `a client, because \`${jurisdiction}\` has clients for its other locations`
    return missing.map((location) => wrongOption(`${NAME}.${location}`, expected, undefined))
  })
  if (clients.size > 0) return issues
  return [...issues, wrongOption(NAME, 'clients for the locations of at least one jurisdiction', {})]
}

function isClient(value: unknown): boolean {
  const client = value as { call?: unknown; duplicate?: unknown } | null | undefined
  return typeof client?.call === 'function' && typeof client.duplicate === 'function'
}

/** A string would be a URL, which may contain a password. */
function hidden(value: unknown): unknown {
  return typeof value === 'string' ? SECRET : value
}
