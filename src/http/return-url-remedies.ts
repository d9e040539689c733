import { differsIn, has, knows, says, type Advice, type Special } from './advice.ts'
import { BODY_PARSERS } from './signature-remedies.ts'

/** Why no URL was found or can match, or several were found. */
const UNREADABLE: readonly Special[] = [
  [says('empty or missing'), 'list the return URLs of the app in `returnUrlGuard.urls`.'],
  [
    has('reason', 'body not kept'),
    `${BODY_PARSERS} Send the body as JSON or as a form, with a matching \`Content-Type\`: other types have no parameters.`,
  ],
  [
    has('reason', 'malformed body'),
    'send the body as JSON or as a form (`application/x-www-form-urlencoded`), with a matching `Content-Type`.',
  ],
  [has('reason', 'too many parameters'), 'send at most 1,000 parameters.'],
  [
    has('reason', 'fragment in the request target'),
    'leave the fragment (`#…`) out: clients do not send it to a server.',
  ],
  [has('reason', 'repeated', 'named in several places'), 'name the return URL once.'],
  [has('reason', 'not a string'), 'send the return URL as a single string.'],
]

/** What is wrong with a URL, whatever the entries are. */
const MALFORMED: readonly Special[] = [
  [
    has('reason', 'reserved parameter'),
    'remove the parameters that the response will add from the return URL.',
  ],
  [
    knows('percent-encoded twice'),
    'encode the URL once: `encodeURIComponent(url)`, or `URLSearchParams`, but not both.',
  ],
  [
    has('reason', 'not absolute'),
    'send an absolute URL, or set the `relativeTo` option to admit paths on this server.',
  ],
  [
    has('reason', 'scheme'),
    'send an `https:` URL, or one with the scheme of an app, such as `com.example.app:/callback`. Schemes such as `javascript:` and `data:` are never allowed.',
  ],
  [has('reason', 'fragment'), 'remove the fragment (RFC 6749, 3.1.2).'],
  [has('reason', 'too long'), 'shorten the URL.'],
  [
    has('reason', 'not ASCII'),
    'percent-encode characters that are not ASCII, and write the host in ASCII (`xn--…`): `new URL(url).href` does both.',
  ],
  [
    has('reason', 'host'),
    'write the host as an ASCII name or an IP address; in the URL of an app, also in lower case.',
  ],
  [has('reason', 'port'), 'write a port from 1 to 65535, or none.'],
  [has('reason', 'encoding'), 'write a percent sign as `%25`, and encode values with `encodeURIComponent`.'],
  [has('reason', 'encoded control character'), 'remove the character.'],
  [
    has('reason', 'encoded separator'),
    'remove the encoded slash or backslash from the path: only an exact entry (`{ "exact": "…" }`) admits a path with encoded slashes.',
  ],
  [
    ({ evidence }) => Object.hasOwn(evidence, 'reason'),
    'send the URL as `new URL(url).href` writes it, without user information: URLs that a parser would have to repair are refused.',
  ],
]

/** Applies if the nearest entry differs only in this scheme. */
function onlySchemeIs(scheme: string): Special[0] {
  return ({ differsIn: parts, nearest }) =>
    parts.length === 1 && parts[0] === 'scheme' && nearest?.endsWith(`the entry has \`${scheme}\``) === true
}

/** How the nearest entry differs. */
const UNLISTED: readonly Special[] = [
  [
    onlySchemeIs('https'),
    'use `https:` in the return URL, as the entry does, or add the URL with `http:` to `returnUrlGuard.urls`.',
  ],
  [
    onlySchemeIs('http'),
    'use `http:` in the return URL, as the entry does, or add the URL with `https:` to `returnUrlGuard.urls`.',
  ],
  [
    differsIn('subdomain'),
    'add the URL with this host to `returnUrlGuard.urls` if it belongs to the app: with and without `www.` are different hosts.',
  ],
  [
    differsIn('port'),
    'add the URL with this port to `returnUrlGuard.urls` if it belongs to the app: each port is a different origin.',
  ],
  [
    differsIn('path'),
    'add the path to `returnUrlGuard.urls`. A prefix matches whole segments: `/app` admits `/app/x`, but not `/apple`.',
  ],
  [differsIn('exact'), 'write the entry as a prefix if paths below it should be admitted.'],
  [differsIn('query'), 'write the exact entry with this query, or use a prefix instead.'],
]

/** How to fix what is wrong with a return URL. */
export const RETURN_URL_ADVICE = {
  RETURN_URL_REQUIRED: {
    general:
      'send it in the place that the `returnUrl` option names, with exactly this name, or declare the place as `optional`.',
  },
  RETURN_URL_NOT_ALLOWED: {
    special: [...UNREADABLE, ...MALFORMED, ...UNLISTED],
    general:
      'add the page, or the folder that contains it, to `returnUrlGuard.urls` if it belongs to the app.',
  },
} satisfies Readonly<Record<string, Advice>>
