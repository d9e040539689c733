import { decideIpWhitelist, type AddressFacts } from '../guards/ip-whitelist.ts'
import { checkOptions } from '../options.ts'
import {
  CLIENT_ADDRESS_EXPECTATION,
  clientAddressReader,
  type ClientAddressOption,
} from './request/client-address.ts'
import type { DescribedQuestion } from './described-request.ts'
import type { RequestHandler } from './handler.ts'
import { SHARED_EXPECTATIONS, type Expectations, type SharedOptions } from './shared-options.ts'
import { noteMissingAddress } from './nearest-entry.ts'
import { mount } from './shell.ts'
import type { Mount } from './step.ts'

export interface IpWhitelistOptions extends SharedOptions {
  /**
   * How to find the client address behind proxies: the trusted proxies and the one header that they write, or a function. Default:
   * `req.ip` of Express, which follows its setting `trust proxy`; without Express, the peer of the socket. If this does not match
   * how requests arrive, `process.emitWarning` reports it once: see docs/proxies.md.
   */
  readonly clientAddress?: ClientAddressOption | undefined
}

/**
 * Admits requests whose client address is in the app's list of addresses and ranges; refuses all others, and requests without a
 * readable address, with `ADDRESS_NOT_ALLOWED` (403).
 *
 * @throws ConfigError
 */
export function ipWhitelist(options: IpWhitelistOptions): RequestHandler {
  const settings = checkOptions<IpWhitelistOptions>('ipWhitelist', options, {
    ...SHARED_EXPECTATIONS,
    ...IP_WHITELIST_EXPECTATIONS,
  })
  return mount(ipWhitelistMount(settings, 'ipWhitelist'), settings)
}

export const IP_WHITELIST_EXPECTATIONS = {
  clientAddress: CLIENT_ADDRESS_EXPECTATION,
} satisfies Expectations<IpWhitelistOptions>

/** @param name the name of the options in an error */
export function ipWhitelistMount(options: IpWhitelistOptions, name: string): Mount<AddressFacts, undefined> {
  const reader = clientAddressReader(options.clientAddress, `${name}.clientAddress`)
  return {
    name: 'ipWhitelist',
    // Only the mount knows where the address was looked for.
    guard: (policy, asked) => {
      const judgement = decideIpWhitelist(policy, asked)
      if (asked.address === undefined) noteMissingAddress(judgement.decision, reader)
      return judgement
    },
    begin: (context) => context.useAddressReader(reader),
    facts: ({ facts }) => ({ address: facts.address(reader), now: Date.now() }),
  }
}

export const describedIpWhitelist: DescribedQuestion = ({ now = Date.now() }) => ({
  name: 'ipWhitelist',
  guard: decideIpWhitelist,
  facts: ({ facts }) => ({ address: facts.address(undefined), now }),
})
