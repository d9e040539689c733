import { describe, expect, it } from '@jest/globals'
import type { GuardRequest } from '../../../../src/http/handler.ts'
import {
  clientAddressReader,
  type AddressFacts,
  type ClientAddressOption,
} from '../../../../src/http/request/client-address.ts'

const PEER = '192.0.2.7'
const CLIENT = '198.51.100.1'
const TRUSTED = { trustedProxies: [PEER], header: 'x-forwarded-for' }
const UNIX = { trustedProxies: ['unix'], header: 'x-forwarded-for' }

/** The address on which a server listens, as Node reports it. */
const serverAt = (address: unknown, listening = true) => ({ server: { listening, address: () => address } })

interface Case {
  readonly option: ClientAddressOption
  readonly facts?: Partial<AddressFacts>
  readonly socket?: object
}

function found({ option, facts, socket = serverAt({ port: 80 }) }: Case): string | undefined {
  const req = { headers: {}, socket } as unknown as GuardRequest
  const usual: AddressFacts = { peer: PEER, headersComplete: true, lines: () => [CLIENT] }
  return clientAddressReader(option, 'test.clientAddress')?.find(req, { ...usual, ...facts })?.address.text
}

describe('the client address from an option', () => {
  it.each<[what: string, expected: string | undefined, given: Case]>([
    ['is what a trusted proxy says', CLIENT, { option: TRUSTED }],
    ['is the peer that is not trusted', '192.0.2.8', { option: TRUSTED, facts: { peer: '192.0.2.8' } }],
    [
      'is unknown behind a trusted proxy whose line may be lost',
      undefined,
      { option: TRUSTED, facts: { headersComplete: false } },
    ],
    ['is what a function returns', CLIENT, { option: () => CLIENT }],
    ['is unknown where a function returns what is no address', undefined, { option: () => `${CLIENT}:80` }],
    ['is unknown where a function returns nothing', undefined, { option: () => undefined }],
    [
      'is unknown where a function may have read a line that was lost',
      undefined,
      { option: () => CLIENT, facts: { headersComplete: false } },
    ],
    [
      'is what a proxy on a Unix socket says, where that is trusted',
      CLIENT,
      { option: UNIX, facts: { peer: undefined }, socket: serverAt('/run/app.sock') },
    ],
    [
      'is unknown on a Unix socket that is not trusted',
      undefined,
      { option: TRUSTED, facts: { peer: undefined }, socket: serverAt('/run/app.sock') },
    ],
    [
      'is unknown where the caller of a TCP socket has gone away',
      undefined,
      { option: UNIX, facts: { peer: undefined }, socket: serverAt({ port: 80 }) },
    ],
    [
      'is unknown where nothing is known of the server',
      undefined,
      { option: UNIX, facts: { peer: undefined }, socket: {} },
    ],
    [
      'is unknown where a server has closed that was never seen',
      undefined,
      { option: UNIX, facts: { peer: undefined }, socket: serverAt(null, false) },
    ],
  ])('%s', (_what, expected, given) => {
    expect(found(given)).toBe(expected)
  })

  it('is known for requests that a server on a Unix socket still serves while it closes', () => {
    const { server } = serverAt('/run/app.sock')
    const given = { option: UNIX, facts: { peer: undefined }, socket: { server } }
    expect(found(given)).toBe(CLIENT)
    Object.assign(server, { listening: false, address: () => null })
    expect(found(given)).toBe(CLIENT)
  })
})
