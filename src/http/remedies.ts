import type { DenialCode } from '../decision.ts'
import { differsIn, has, isOfHeader, isUnforwarded, knows, says, type Advice } from './advice.ts'
import type { Picture } from './nearest-entry.ts'
import { RETURN_URL_ADVICE } from './return-url-remedies.ts'
import { SIGNATURE_ADVICE, STRANGER, UNKNOWN_APP } from './signature-remedies.ts'

/** How to fix a refusal: one or more sentences. Without a picture, the general advice. */
export function fixFor(code: DenialCode, picture: Picture | undefined): string {
  const { general, special = [] } = ADVICE[code]
  if (picture === undefined) return general
  const advice = special.find(([applies]) => applies(picture))?.[1] ?? general
  return typeof advice === 'string' ? advice : advice(picture)
}

const ADVICE: Readonly<Record<DenialCode, Advice>> = {
  APP_UNIDENTIFIED: {
    general:
      'the caller must send its app id where the `appId` option looks for it, by default in the header `x-app-id`. In a router, `appIdFrom({ param })` needs `mergeParams: true`. `appIdFrom({ body })` needs bodyParsers() before the guard.',
  },
  APP_UNKNOWN: { general: UNKNOWN_APP },
  ...SIGNATURE_ADVICE,
  BROWSER_NOT_ALLOWED: {
    special: [
      STRANGER,
      [
        has('evidence', 'origin'),
        'call from a server, which sends no `Origin`. Put routes that pages may call behind `domainProtect`.',
      ],
    ],
    general:
      'call from a server: a secret in a web page is not secret. Put routes that pages may call behind `domainProtect`.',
  },
  ADDRESS_NOT_ALLOWED: {
    special: [
      [
        knows(', which the request does not have'),
        'let the proxy send this header. If it sends another header, name that one in `clientAddress.header`.',
      ],
      [
        knows(', but the socket has no address'),
        'if the proxy connects through a Unix socket, add `unix` to `clientAddress.trustedProxies`. This header must contain only addresses.',
      ],
      [
        knows(', which has a part that is not an address'),
        'let the proxies write only addresses into this header: `unknown`, host names and empty parts are not addresses.',
      ],
      [
        (picture) => says('no readable client address')(picture) && knows('the header')(picture),
        'let the proxy send this header once, with one address. If it sends another header, name that one in `clientAddress.header`.',
      ],
      [
        (picture) => says('no readable client address')(picture) && knows('the function')(picture),
        'let the function return one address as a string, without a port and without brackets.',
      ],
      [
        says('no readable client address'),
        'set the `clientAddress` option: the socket has no address, or the header of the proxy cannot be read.',
      ],
      [says('allow list is empty'), 'add the networks of the callers to `ipWhitelist.ranges`.'],
      [
        (picture) => says('does not exist')(picture) || knows('the store has no list')(picture),
        'write the named list to the store, or remove its name from the policy.',
      ],
      [says('address is in'), 'to admit the address, remove the entry that denies it.'],
      [
        ({ from, proxied, evidence }) =>
          proxied && from !== 'the internet' && isUnforwarded(String(evidence['source'])),
        'if a proxy in front has sent the forwarded header, trust it: set `trust proxy` in Express to its subnet, or name the subnet in `clientAddress.trustedProxies`. Otherwise the header is ignored, because any caller can write it.',
      ],
      [
        ({ privateAddress, evidence }) =>
          privateAddress !== undefined && isOfHeader(String(evidence['source'])),
        ({ privateAddress }) =>
          `add \`${privateAddress}\` to \`clientAddress.trustedProxies\` if it is a proxy of yours. If it is the caller, add its network to the allow list.`,
      ],
      [
        ({ from }) => from === 'this machine',
        'to call from your own machine, add `127.0.0.1` and `::1` to `ipWhitelist.ranges` in a development policy.',
      ],
      [
        differsIn('family'),
        'add the networks of the callers for this IP version too, or listen only on the other version.',
      ],
      [
        ({ evidence }) => isOfHeader(String(evidence['source'])),
        'add the network of the caller to the allow list. If the address is that of a proxy, add the proxy to `clientAddress.trustedProxies`.',
      ],
    ],
    general:
      'add the network of the caller to the allow list. If the address is that of a proxy, trust the proxy: set `trust proxy` in Express, or the `clientAddress` option.',
  },
  ORIGIN_REQUIRED: {
    special: [
      [
        says('a server must sign'),
        'mount `serverOnly` in enforcing mode before `domainProtect`, or use `protect()`, and sign the request. `domainProtect.server` in the policy says what servers must do.',
      ],
      [
        has('case', 'absent'),
        'a server must name a domain of the app in the header `X-Origin` (curl: `-H "X-Origin: https://…"`; the clients of portcullis/client: the option `origin`), unless the policy says otherwise in `domainProtect.server`. Pages send `Origin` automatically; for your own pages in older browsers, use the option `referer`.',
      ],
      [
        has('case', 'navigation'),
        'when people open a page by its address, the browser sends no `Origin`: mount `domainProtect` on the routes that scripts call, not on these pages.',
      ],
    ],
    general:
      'call from a page of one of the domains; a server must name a domain of the app in the header `X-Origin`.',
  },
  ORIGIN_NOT_ALLOWED: {
    special: [
      [says('empty or missing'), 'list the origins of the app in `domainProtect.domains`.'],
      [
        has('case', 'opaque'),
        'sandboxed frames, files and redirects across origins send `null`: call from a page with a real origin.',
      ],
      [
        has('case', 'contradiction'),
        'find out what sets these headers besides the browser: no browser sends them together.',
      ],
      [
        has('case', 'invalid'),
        'write the origin as browsers do: the scheme, the host in lower case, and the port only if it is not the default; no path and no trailing slash.',
      ],
      [
        (picture) => (picture.nearest === undefined || picture.respelled) && has('case', 'server')(picture),
        'write one origin with its scheme, without a path and without a trailing slash: `https://app.example`. It must be one of `domainProtect.domains`.',
      ],
      [
        (picture) => differsIn('scheme')(picture) && picture.differsIn.length === 1,
        'add the origin with this scheme to `domainProtect.domains`, or call over the scheme of the entry: `http:` and `https:` are different origins.',
      ],
      [
        (picture) => differsIn('subdomain')(picture) && picture.wildcard,
        'add this host itself: a wildcard admits the subdomains of its host, but not the host.',
      ],
      [
        differsIn('subdomain'),
        'add the origin with this host to `domainProtect.domains`: with and without `www.` are different origins.',
      ],
      [
        differsIn('port'),
        'add the origin with this port to `domainProtect.domains`: each port is a different origin.',
      ],
    ],
    general: 'add the origin to `domainProtect.domains` if it belongs to the app.',
  },
  METHOD_NOT_ALLOWED: { general: 'add the method to `domainProtect.methods` if pages should use it.' },
  ...RETURN_URL_ADVICE,
  REGION_MISDIRECTED: {
    general:
      'send the request to a location in the jurisdiction of the person, or let the policy redirect it (`onMisdirected`). Check the `here` option.',
  },
  REGION_UNKNOWN: {
    special: [
      [
        says('fallback'),
        'let the `country` option return an ISO 3166-1 alpha-2 code such as `DE` from the stored record of the person, or set a `fallback` that is a jurisdiction.',
      ],
    ],
    general: 'let the `country` option return an ISO 3166-1 alpha-2 code such as `DE`.',
  },
  PROTECTION_NOT_CONFIGURED: {
    general:
      'add the section of every mounted guard to the policy of the app, with mode `off` to admit every request, or mount only the guards that you need.',
  },
  POLICY_UNAVAILABLE: {
    special: [
      [
        says('the guard failed'),
        'this is an error in an adapter, a store or Portcullis: the error message says where.',
      ],
      [
        says('sealed'),
        'give the store the `vault` with the key that sealed the data. The command line, and code from `portcullis init`, read that key from PORTCULLIS_VAULT_KEY.',
      ],
    ],
    general:
      'check that the store is running, its address, password and prefix, and the key of its vault. `policies.status()` shows more.',
  },
  AUDIT_UNAVAILABLE: {
    general:
      'check that the audit sink is running and stores events in time. The `onError` option is called with each failure.',
  },
  NONCES_UNAVAILABLE: {
    general: 'check whether the nonce store is running, whether it is full, and whether its clock is right.',
  },
  OPTION_FAILED: {
    general:
      'correct the option: it threw, rejected, took longer than `optionTimeout`, or returned an invalid value.',
  },
}
