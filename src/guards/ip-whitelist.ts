import { allow, deny } from '../decision.ts'
import type { ClientAddress } from '../match/client-address.ts'
import { guardOf, type Guard } from './guard.ts'

export interface AddressFacts {
  /** Who calls, and how we know; `undefined` when there is no readable address. */
  readonly address: ClientAddress | undefined
}

/** Does the address lie in the app's list? `deny` wins; no address, no entry. */
export const decideIpWhitelist: Guard<AddressFacts> = guardOf(
  'ipWhitelist',
  ({ mode, ranges, deny: denied }, { address }) => {
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
    const admitted = ranges.find(address.address)
    if (admitted === undefined) {
      const detail =
        ranges.size === 0 ? 'the list admits nobody: it is empty' : 'the address lies outside of every range'
      return deny('ipWhitelist', mode, 'ADDRESS_NOT_ALLOWED', detail, { source })
    }
    return allow('ipWhitelist', mode, 'the address lies in a range', { entry: admitted, source })
  },
)
