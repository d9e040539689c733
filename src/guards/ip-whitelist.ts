import { allow, deny } from '../decision.ts'
import type { ClientAddress } from '../match/client-address.ts'
import { guardOf, type Guard } from './guard.ts'

export interface AddressFacts {
  /** Who calls, and how we know; `undefined` when there is no readable address. */
  readonly address: ClientAddress | undefined
  /** The time at which entries of lists expire, in milliseconds since the epoch. */
  readonly now: number
}

/** Does the address lie in the app's list? What denies wins; no address, no entry. */
export const decideIpWhitelist: Guard<AddressFacts> = guardOf(
  'ipWhitelist',
  ({ mode, ranges, deny: denied, lists, denyLists }, { address, now }) => {
    if (address === undefined) {
      return deny('ipWhitelist', mode, 'ADDRESS_NOT_ALLOWED', 'the request has no readable client address')
    }
    const { source } = address
    const refused = denied.find(address.address)
    if (refused !== undefined) {
      return deny('ipWhitelist', mode, 'ADDRESS_NOT_ALLOWED', 'the address lies in `deny`', {
        entry: refused,
        source,
      })
    }
    for (const list of denyLists) {
      // Whom it would refuse is not known.
      if (!list.exists) {
        const detail = 'a list of `denyLists` does not exist'
        return deny('ipWhitelist', mode, 'ADDRESS_NOT_ALLOWED', detail, { list: list.name, source })
      }
      const entry = list.find(address.address, now)
      if (entry === undefined) continue
      const detail = 'the address lies in a list of `denyLists`'
      return deny('ipWhitelist', mode, 'ADDRESS_NOT_ALLOWED', detail, { entry, list: list.name, source })
    }
    const admitted = ranges.find(address.address)
    if (admitted !== undefined)
      return allow('ipWhitelist', mode, 'the address lies in a range', { entry: admitted, source })
    for (const list of lists) {
      const entry = list.find(address.address, now)
      if (entry !== undefined) {
        const evidence = { entry, list: list.name, source }
        return allow('ipWhitelist', mode, 'the address lies in a list', evidence)
      }
    }
    const isEmpty = ranges.size === 0 && lists.length === 0
    const detail = isEmpty ? 'the list admits nobody: it is empty' : 'the address lies outside of every range'
    return deny('ipWhitelist', mode, 'ADDRESS_NOT_ALLOWED', detail, { source })
  },
)
