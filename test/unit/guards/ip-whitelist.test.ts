import { decideIpWhitelist, type AddressFacts } from '../../../src/guards/ip-whitelist.ts'
import { parsePeer, type ClientAddress } from '../../../src/match/client-address.ts'
import type { NamedSet } from '../../../src/policy/named-lists.ts'
import { describeGuard } from './table.ts'

function from(text: string): ClientAddress {
  const address = parsePeer(text)
  if (address === undefined) throw new TypeError(`${text} is not an address`)
  return { address, source: 'socket', hops: 0 }
}

/** A list with one address, which may expire. */
function list(name: string, holds: string, until = Infinity): [string, NamedSet] {
  const { text } = from(holds).address
  return [
    name,
    { name, exists: true, find: (address, now) => (address.text === text && now < until ? text : undefined) },
  ]
}

const lists = new Map([
  list('office', '198.51.100.7'),
  list('guests', '198.51.100.8', 1_000),
  list('bad', '203.0.113.9'),
])
const facts: AddressFacts = { address: from('203.0.113.9'), now: 0 }
const RANGE = { ranges: ['203.0.113.0/24'] }

describeGuard({ name: 'ipWhitelist', guard: decideIpWhitelist, facts, lists }, [
  [
    'allows an address in a range, and names the range',
    RANGE,
    {},
    'ALLOWED',
    { outcome: undefined, evidence: { entry: '203.0.113.0/24', source: 'socket' } },
  ],
  [
    'allows a single address, and does not repeat it in the evidence',
    { ranges: ['203.0.113.9'] },
    {},
    'ALLOWED',
    { evidence: { entry: 'a single address', source: 'socket' } },
  ],
  ['allows the last address of a range', RANGE, { address: from('203.0.113.255') }, 'ALLOWED'],
  ['refuses the address behind a range', RANGE, { address: from('203.0.114.0') }, 'ADDRESS_NOT_ALLOWED'],
  [
    'allows an IPv4 address that came mapped into IPv6',
    RANGE,
    { address: from('::ffff:203.0.113.9') },
    'ALLOWED',
  ],
  [
    'allows an IPv6 address in a range',
    { ranges: ['2001:db8::/32'] },
    { address: from('2001:db8::1') },
    'ALLOWED',
  ],
  [
    'refuses an IPv6 address where only IPv4 is admitted',
    RANGE,
    { address: from('2001:db8::1') },
    'ADDRESS_NOT_ALLOWED',
  ],
  [
    'refuses a request without a readable address',
    RANGE,
    { address: undefined },
    'ADDRESS_NOT_ALLOWED',
    { evidence: {} },
  ],
  [
    'refuses every address by an empty section',
    {},
    {},
    'ADDRESS_NOT_ALLOWED',
    { evidence: { source: 'socket' } },
  ],
  [
    'refuses an address in `deny`, whatever `ranges` say',
    { ...RANGE, deny: ['203.0.113.0/28'] },
    {},
    'ADDRESS_NOT_ALLOWED',
    { evidence: { entry: '203.0.113.0/28', source: 'socket' } },
  ],
  [
    'allows an address beside `deny`',
    { ...RANGE, deny: ['203.0.113.0/28'] },
    { address: from('203.0.113.16') },
    'ALLOWED',
  ],
  [
    'allows an address of a named list',
    { lists: ['office'] },
    { address: from('198.51.100.7') },
    'ALLOWED',
    { evidence: { entry: 'a single address', list: 'office', source: 'socket' } },
  ],
  [
    'allows an address of a named list up to the moment at which it expires',
    { lists: ['guests'] },
    { address: from('198.51.100.8'), now: 999 },
    'ALLOWED',
  ],
  [
    'refuses an address of a named list from that moment on',
    { lists: ['guests'] },
    { address: from('198.51.100.8'), now: 1_000 },
    'ADDRESS_NOT_ALLOWED',
  ],
  ['refuses by a named list that does not exist', { lists: ['gone'] }, {}, 'ADDRESS_NOT_ALLOWED'],
  ['allows by a range beside a named list that does not exist', { ...RANGE, lists: ['gone'] }, {}, 'ALLOWED'],
  [
    'refuses an address of a denying list, whatever else admits it',
    { ...RANGE, denyLists: ['bad'] },
    {},
    'ADDRESS_NOT_ALLOWED',
    { evidence: { entry: 'a single address', list: 'bad', source: 'socket' } },
  ],
  [
    'allows an address that no denying list holds',
    { ...RANGE, denyLists: ['bad'] },
    { address: from('203.0.113.10') },
    'ALLOWED',
  ],
  [
    'refuses every address while a denying list does not exist',
    { ...RANGE, denyLists: ['gone'] },
    {},
    'ADDRESS_NOT_ALLOWED',
    { evidence: { list: 'gone', source: 'socket' } },
  ],
])
