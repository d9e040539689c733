import type { DenialCode } from '../decision.ts'
import type { Picture } from './nearest-entry.ts'

/** Advice for a special case of a refusal. The first that applies is given. */
type Special = readonly [applies: (picture: Picture) => boolean, advice: string]

interface Advice {
  /** What helps in general. It says nothing of a policy, so that it may stand in a log of production. */
  readonly general: string
  readonly special?: readonly Special[]
}

/** How a refusal is mended: one or more sentences. Without a picture it is what helps in general. */
export function mendingOf(code: DenialCode, picture: Picture | undefined): string {
  const { general, special = [] } = ADVICE[code]
  if (picture === undefined) return general
  return special.find(([applies]) => applies(picture))?.[1] ?? general
}

/** The detail of the refusal holds these words. */
function says(words: string): Special[0] {
  return ({ detail }) => detail.includes(words)
}

/** A member of its evidence has this value. */
function has(name: string, ...values: readonly string[]): Special[0] {
  return ({ evidence }) => Object.hasOwn(evidence, name) && values.includes(String(evidence[name]))
}

/** The nearest entry differs in nothing before this part, which is the one to look at. */
function differsIn(part: Picture['differsIn'][number]): Special[0] {
  return (picture) => picture.differsIn[0] === part
}

/** Whether the address was taken from the socket, or by Express: from no header that we have read, and by no option. */
function isUnforwarded(source: string): boolean {
  return source === 'socket' || source.includes('.')
}

/** The doctor of signatures has found that one of these components was signed with another value. */
function signedOtherwise(...names: readonly string[]): Special[0] {
  return ({ evidence }) => {
    const found = String(evidence['components'] ?? '').split(', ')
    return names.some((name) => found.includes(name))
  }
}

const UNKNOWN_APP =
  'check the spelling of the id, and that this server reads the store in which the app was written: an empty store knows no app.'

const STRANGER: Special = [says('there is no such app'), UNKNOWN_APP]

const BODY_PARSERS =
  'mount bodyParsers() ahead of the guard, in place of express.json() and other parsers, which do not keep the bytes.'
const OTHER_TYPES =
  'To keep the bytes of types other than JSON and forms, name the types in `keep` (`bodyKeep` of `protect()`).'

const ADVICE: Readonly<Record<DenialCode, Advice>> = {
  APP_UNIDENTIFIED: {
    general:
      'let the caller send its app id where the `appId` option looks for it, by default in the header `x-app-id`. In a router `appIdFrom({ param })` needs `mergeParams: true`.',
  },
  APP_UNKNOWN: { general: UNKNOWN_APP },
  SIGNATURE_REQUIRED: {
    special: [STRANGER],
    general:
      'sign the request with `signRequest` or a client of portcullis/client. If it was signed, look for a proxy that removes `Signature` or `Signature-Input`.',
  },
  SIGNATURE_INVALID: {
    special: [
      STRANGER,
      [
        says('is by a key of the app'),
        'compare the key id that the caller signs with (`keyid`) with the keys that the store has of this app.',
      ],
      [
        signedOtherwise('@authority', 'host'),
        'a proxy has changed `Host`: let it hand the original `Host` on, or set the `authority` option to the origin that callers sign.',
      ],
      [
        signedOtherwise('@path', '@target-uri', '@request-target', '@query'),
        'the target was changed on the way, or signed in another form: let proxies hand it on as it is, or set the `pathPrefix` option to the prefix that one takes off.',
      ],
      [
        says('does not match what was received'),
        'compare the secret of this key on both sides. If it is the same, a proxy has changed something that is signed: `Host` (set the `authority` option), or the path, of which it takes a prefix off (set the `pathPrefix` option). `explainMismatch: true` shows the signature base.',
      ],
      [
        says('content-digest'),
        'let the caller send and sign `Content-Digest`: the clients of portcullis/client do when they are given the body.',
      ],
      [
        says('not covered'),
        'let the caller sign what is named here too, as the clients of portcullis/client do.',
      ],
      [
        says('is not valid'),
        'sign with a key that is valid now, or change `notBefore` and `notAfter` of this one.',
      ],
      [says('is not the algorithm'), 'sign with the algorithm of the key, or leave `alg` out.'],
    ],
    general:
      'compare the key on both sides, then look for a proxy that changes what is signed. `explainMismatch: true` shows the signature base in development.',
  },
  SIGNATURE_EXPIRED: {
    special: [
      [says('in the future'), 'synchronise the clocks: that of the caller is ahead of that of this server.'],
    ],
    general:
      'synchronise the clocks of both servers, and sign each attempt anew: a signature may not wait in a queue.',
  },
  SIGNATURE_REPLAYED: {
    general: 'sign each attempt anew, also when a request is repeated after a time-out.',
  },
  DIGEST_MISMATCH: {
    special: [[says('has not kept the bytes'), `${BODY_PARSERS} ${OTHER_TYPES}`]],
    general: 'let the caller sign the bytes that it sends, and look for a proxy that rewrites bodies.',
  },
  BROWSER_NOT_ALLOWED: {
    special: [
      STRANGER,
      [
        has('evidence', 'origin'),
        'call from a server, which sends no `Origin`. Routes that pages may call belong behind `domainProtect`.',
      ],
    ],
    general:
      'call from a server: a secret in a web page is not secret. Routes that pages may call belong behind `domainProtect`.',
  },
  ADDRESS_NOT_ALLOWED: {
    special: [
      [
        says('no readable client address'),
        'set the `clientAddress` option: there is no address at the socket, or the header of the proxy cannot be read.',
      ],
      [says('allow list is empty'), 'add the networks of the callers to `ipWhitelist.ranges`.'],
      [says('does not exist'), 'write the named list to the store, or remove its name from the policy.'],
      [says('lies in'), 'if the address should be admitted, remove the entry that denies it.'],
      [
        ({ from, proxied, evidence }) =>
          proxied && from !== 'the internet' && isUnforwarded(String(evidence['source'])),
        'if a proxy in front has sent the forwarded header, trust it: set `trust proxy` of Express to its subnet, or the `clientAddress` option. Without that the header counts for nothing, because any caller can write it.',
      ],
      [
        ({ from }) => from === 'this machine',
        'to call from your own machine, add `127.0.0.1` and `::1` to `ipWhitelist.ranges` of a policy for development.',
      ],
      [
        differsIn('family'),
        'add the networks that callers have in this version of IP too, or listen on the other one alone.',
      ],
    ],
    general:
      'add the network of the caller to the allow list. If the address is that of a proxy, trust the proxy: `trust proxy` of Express, or the `clientAddress` option.',
  },
  ORIGIN_REQUIRED: {
    special: [
      [
        has('case', 'absent'),
        'a server names a domain of the app in the header `X-Origin` (curl: `-H "X-Origin: https://…"`), unless the policy says otherwise in `domainProtect.server`. Pages send `Origin` by themselves; for own pages of older browsers there is the option `referer`.',
      ],
      [
        has('case', 'navigation'),
        'pages that people open by their address send no `Origin`: mount `domainProtect` on the routes that scripts call, and not on these.',
      ],
    ],
    general:
      'call from a page of one of the domains; a server names a domain of the app in the header `X-Origin`.',
  },
  ORIGIN_NOT_ALLOWED: {
    special: [
      [
        has('case', 'opaque'),
        'a sandboxed frame, a file or a redirect across origins sends `null`: call from a page with an origin of its own.',
      ],
      [
        has('case', 'contradiction'),
        'look for what writes these headers besides the browser: no browser sends them together.',
      ],
      [
        has('case', 'invalid'),
        'write the origin as browsers do: scheme, host in lower case, and a port only where it is not the default one; no path and no slash.',
      ],
      [
        (picture) => picture.nearest === undefined && has('case', 'server')(picture),
        'write an origin without a path and without a slash at its end: `https://app.example`. It must be one of `domainProtect.domains`.',
      ],
      [
        (picture) => differsIn('scheme')(picture) && picture.differsIn.length === 1,
        'add the origin with this scheme to `domainProtect.domains`, or call over the scheme of the entry: `http:` and `https:` are two origins.',
      ],
      [
        (picture) => differsIn('subdomain')(picture) && picture.wildcard,
        'add this host itself: a wildcard admits what lies below its host, and not the host.',
      ],
      [
        differsIn('subdomain'),
        'add the origin with this host to `domainProtect.domains`: with and without `www.` are two origins.',
      ],
      [
        differsIn('port'),
        'add the origin with this port to `domainProtect.domains`: each port is an origin of its own.',
      ],
    ],
    general: 'add the origin to `domainProtect.domains` if it belongs to the app.',
  },
  METHOD_NOT_ALLOWED: { general: 'add the method to `domainProtect.methods` if pages should use it.' },
  RETURN_URL_REQUIRED: {
    general:
      'send it in the place that the `returnUrl` option names, under exactly this name; or declare the place as `optional`.',
  },
  RETURN_URL_NOT_ALLOWED: {
    special: [
      [
        has('reason', 'body not kept'),
        `${BODY_PARSERS} Send the body as JSON or as a form, with its \`Content-Type\`: no other type has parameters.`,
      ],
      [
        has('reason', 'malformed body'),
        'send the body as JSON or as a form (`application/x-www-form-urlencoded`), with the `Content-Type` that it has.',
      ],
      [
        has('reason', 'reserved parameter'),
        'leave out of the return URL the parameters that the answer will have.',
      ],
      [has('reason', 'repeated', 'named in several places'), 'name the return URL once.'],
      [
        has('reason', 'not absolute'),
        'send an absolute URL, or set the `relativeTo` option to admit paths on this server.',
      ],
      [has('reason', 'fragment'), 'leave the fragment out (RFC 6749, 3.1.2).'],
      [
        has('reason', 'not ASCII'),
        'percent-encode letters that are not ASCII, and write the host in ASCII (`xn--…`): `new URL(url).href` does both.',
      ],
      [
        ({ evidence }) => Object.hasOwn(evidence, 'reason'),
        'send the URL as `new URL(url).href` writes it, without user information: what programs would have to repair is refused.',
      ],
      [
        differsIn('path'),
        'add the path to `returnUrlGuard.urls`. A prefix admits whole segments: `/app` admits `/app/x`, and not `/apple`.',
      ],
      [differsIn('exact'), 'write the entry as a prefix if what lies below it should be admitted.'],
      [differsIn('query'), 'write the exact entry with this query, or a prefix in its place.'],
    ],
    general: 'add the page, or the folder it is in, to `returnUrlGuard.urls`.',
  },
  REGION_MISDIRECTED: {
    general:
      'send the request to a location of the jurisdiction of the person, or let the policy redirect it (`onMisdirected`). Check the `here` option.',
  },
  REGION_UNKNOWN: {
    special: [
      [
        says('fallback'),
        'let the `country` option return an ISO 3166-1 alpha-2 code such as `DE`, from what is stored of the person; or write a `fallback` that is a jurisdiction.',
      ],
    ],
    general: 'let the `country` option return an ISO 3166-1 alpha-2 code such as `DE`.',
  },
  PROTECTION_NOT_CONFIGURED: {
    general: 'write the section of this guard in the policy of the app, or write it with mode `off`.',
  },
  POLICY_UNAVAILABLE: {
    special: [
      [
        says('the guard failed'),
        'this is a fault in an adapter, a store or Portcullis: the error says where.',
      ],
    ],
    general:
      'look at the store: whether it runs, its address, password and prefix. `policies.status()` says more.',
  },
  AUDIT_UNAVAILABLE: {
    general:
      'look at the sink of the audit: whether it runs and takes events in time. The `onError` option is told of each failure.',
  },
  NONCES_UNAVAILABLE: {
    general: 'look at the nonce store: whether it runs, whether it is full, and whether its clock is right.',
  },
  OPTION_FAILED: {
    general:
      'mend the option: it threw, rejected, took longer than `optionTimeout`, or returned something other than it should.',
  },
}
