import { deny, sharedAllowances, type Evidence, type Mode } from '../decision.ts'
import type { ClientAddress } from '../match/client-address.ts'
import { guardOf, type Guard, type Judgement } from './guard.ts'

export interface AddressFacts {
  /** The client address and where it was found. `undefined` if the request has no readable one. */
  readonly address: ClientAddress | undefined
  /** The time by which list entries expire, in milliseconds since the epoch. */
  readonly now: number
}

/** Decides whether the address is in the app's list. An entry that denies takes precedence over any that admits. */
export const decideIpWhitelist: Guard<AddressFacts> = guardOf(
  'ipWhitelist',
  ({ mode, ranges, deny: denied, lists, denyLists }, { address, now }) => {
    if (address === undefined) return refused(mode, 'the request has no readable client address')
    const { source } = address
    const refusing = denied.find(address.address)
    if (refusing !== undefined) {
      return refused(mode, 'the address is in `deny`', { entry: shown(refusing), source })
    }
    for (const list of denyLists) {
      // If the list is missing, any address could be on it.
      if (!list.exists) {
        return refused(mode, 'a list of `denyLists` does not exist', { list: list.name, source })
      }
      const entry = list.find(address.address, now)
      if (entry === undefined) continue
      const evidence = { entry: shown(entry), list: list.name, source }
      return refused(mode, 'the address is in a list of `denyLists`', evidence)
    }
    const entry = ranges.find(address.address)
    if (entry !== undefined) return { decision: inRange(mode, shown(entry), source) }
    for (const list of lists) {
      const found = list.find(address.address, now)
      if (found === undefined) continue
      return { decision: inList(mode, shown(found), list.name, source) }
    }
    const isEmpty = ranges.size === 0 && lists.length === 0
    return refused(
      mode,
      isEmpty ? 'the allow list is empty, so it admits no address' : 'the address is outside every range',
      { source },
    )
  },
)

/** A single-address entry is the address of the caller, which a decision must not contain. */
function shown(entry: string): string {
  return entry.includes('/') ? entry : 'a single address'
}

const inRange = sharedAllowances('ipWhitelist', 'the address is in a range', ['entry', 'source'])
const inList = sharedAllowances('ipWhitelist', 'the address is in a list', ['entry', 'list', 'source'])

function refused(mode: Mode, detail: string, evidence?: Evidence): Judgement {
  return { decision: deny('ipWhitelist', mode, 'ADDRESS_NOT_ALLOWED', detail, evidence) }
}
