import { decideDomainProtect } from '../guards/domain-protect.ts'
import { checkOptions } from '../options.ts'
import type { RequestHandler } from './handler.ts'
import { mount, SHARED_EXPECTATIONS, type SharedOptions } from './shell.ts'

export type DomainProtectOptions = SharedOptions

/**
 * CORS that blocks: a request from an origin that is none of the app's domains is refused with `ORIGIN_NOT_ALLOWED`
 * (403) before it reaches the handler; an allowed one gets its CORS headers, and its preflights are answered. A server
 * sends no `Origin` and must name a domain in `X-Origin`. That header is a claim, not a credential: `serverOnly` proves.
 *
 * Follows RFC 6454 and the Fetch standard.
 *
 * @throws ConfigError
 */
export function domainProtect(options: DomainProtectOptions): RequestHandler {
  checkOptions('domainProtect', options, SHARED_EXPECTATIONS)
  return mount({ name: 'domainProtect', guard: decideDomainProtect, facts: ({ facts }) => facts }, options)
}
