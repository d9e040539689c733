import {
  compileClientAddress,
  parsePeer,
  UNIX_SOCKET,
  type ClientAddress,
  type ClientAddressOptions,
} from '../../match/client-address.ts'
import { parseIp } from '../../match/ip.ts'
import type { Expectation } from '../../options.ts'
import type { Callback, GuardRequest } from '../handler.ts'
import { checkClientAddress } from './address-warnings.ts'
import { askNow } from './ask-option.ts'

/**
 * How to find the client: the proxies in front and the header that they write, or a function that returns the address as a
 * string, or `undefined` if there is none. The result of a function must be a single address (no port, no list, no promise);
 * otherwise the request has no client address.
 */
export type ClientAddressOption = ClientAddressOptions | AddressFunction

/** The parts of a request that show where it comes from. */
export interface AddressFacts {
  /** The address at the other end of the socket, as Node reports it. */
  readonly peer: string | undefined
  /** Whether Node has kept all header lines. */
  readonly headersComplete: boolean
  /** Every line of a header, in order; the name is in lower case. */
  lines(name: string): readonly string[]
}

/** The compiled `clientAddress` option. */
export interface ClientAddressReader {
  /** Where it looks, as part of a sentence. */
  readonly place: string
  /** The header that it reads, in lower case; `undefined` if it is a function. */
  readonly header?: string
  /** @throws OptionFailure if a function of the application fails */
  find(req: GuardRequest, facts: AddressFacts): ClientAddress | undefined
}

export const CLIENT_ADDRESS_EXPECTATION: Expectation = {
  expected: 'an object with `trustedProxies` and `header`, or a function that returns the address',
  accepts: (value) => (typeof value === 'object' && value !== null) || typeof value === 'function',
  hint: (value) => {
    const header =
      typeof value === 'string' && /^[a-z-]{3,64}$/i.test(value) ? value.toLowerCase() : 'x-forwarded-for'
    return `; write \`{ header: '${header}', trustedProxies: ['loopback'] }\` with the addresses of your proxies`
  },
}

/**
 * Compiles the `clientAddress` option.
 *
 * @throws ConfigError that names the option below `name`
 */
export function clientAddressReader(
  option: ClientAddressOption | undefined,
  name: string,
): ClientAddressReader | undefined {
  if (option === undefined) return undefined
  if (typeof option === 'function') return functionReader(option)
  const reader = compileClientAddress(option, name)
  return {
    place: `in the header \`${reader.header}\``,
    header: reader.header,
    find(req, facts) {
      // The line of the nearest proxy comes last, so Node drops it first, and only lines that the caller wrote would be left.
      const lines = facts.headersComplete ? facts.lines(reader.header) : []
      const client = reader.read(facts.peer ?? (isUnixSocket(req) ? UNIX_SOCKET : undefined), lines)
      if (client !== undefined) checkClientAddress(client, reader, lines)
      return client
    },
  }
}

type AddressFunction = Callback<[req: GuardRequest], string | undefined>

/** One per function: guards that share a function call it once per request. */
const functionReaders = new WeakMap<AddressFunction, ClientAddressReader>()

function functionReader(option: AddressFunction): ClientAddressReader {
  let reader = functionReaders.get(option)
  if (reader === undefined) {
    reader = {
      place: 'by the function of the `clientAddress` option',
      find: (req, facts) => returned(option, req, facts),
    }
    functionReaders.set(option, reader)
  }
  return reader
}

function returned(
  option: AddressFunction,
  req: GuardRequest,
  { peer, headersComplete }: AddressFacts,
): ClientAddress | undefined {
  const text: unknown = askNow(option, 'clientAddress', req)
  // A function may have read a header whose last lines Node has dropped.
  if (typeof text !== 'string' || !headersComplete) return undefined
  const address = text === peer ? parsePeer(text) : parseIp(text)
  return address && { address, source: 'clientAddress', hops: 0 }
}

interface ListeningServer {
  readonly listening?: boolean
  address?(): unknown
}

/** The last result for each server, for requests that it still serves while it closes. */
const unixServers = new WeakMap<object, boolean>()

/**
 * Whether the request arrived on a Unix socket. Looks at the server, because a TCP socket has no address either after the caller
 * has disconnected.
 */
function isUnixSocket({ socket }: GuardRequest): boolean {
  const { server } = socket as { server?: ListeningServer }
  if (typeof server?.address !== 'function') return false
  const address = server.address()
  if (server.listening === true) {
    // A socket that was passed as a file descriptor has no path.
    unixServers.set(server, typeof address === 'string' || address === null)
  }
  return unixServers.get(server) ?? false
}
