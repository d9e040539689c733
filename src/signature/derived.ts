// Shared by the verifier and `portcullis/client`, so it must use only the language itself.
import { MOST_QUERY_PARAMETERS } from './budget.ts'
import { componentProblem, encodeParameter, quote, readQueryParameters } from './components.ts'

/** The parts of a request that a signature can cover. */
export interface MessageParts {
  /** As on the wire. Methods are case-sensitive. */
  readonly method: string
  /** The `Host` header as received. `undefined` if there was not exactly one. */
  readonly authority: string | undefined
  /** Why `authority` is `undefined`, as a phrase, if `Host` is not the reason. */
  readonly authorityProblem?: string | undefined
  /** The request target as on the wire, in origin form: path and query. */
  readonly target: string
  /**
   * The scheme that the signer used. `undefined` if unknown: then `@scheme` and `@target-uri` cannot be derived, and both
   * default ports are dropped.
   */
  readonly scheme?: 'http' | 'https' | undefined
  /** Every line of the header with this lower-case name, in order of arrival. */
  header(name: string): readonly string[]
}

/** Why a signature base cannot be built, as a phrase for operators. */
export interface BaseProblem {
  readonly problem: string
}

// One registered name, IPv4 address or bracketed IPv6 address, with or without a port. No comma, because that would be two
// hosts.
const AUTHORITY = /^(?:[a-z0-9._~!$&'()*+;=%-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/

/** A request target, parsed once for all components. */
export class Target {
  readonly text: string
  #mark: number | undefined
  #parameters: ReturnType<typeof readQueryParameters> | BaseProblem

  constructor(text: string) {
    this.text = text
  }

  /** Whether the target is in origin form. Other forms name a second authority, and routers disagree about `#`. */
  get isReadable(): boolean {
    return this.#markAt !== UNREADABLE
  }

  get path(): string {
    return this.#markAt === -1 ? this.text : this.text.slice(0, this.#markAt)
  }

  /** RFC 9421 2.2.7: a missing query and an empty query are the same, a single question mark. */
  get query(): string {
    return this.#markAt === -1 ? '?' : this.text.slice(this.#markAt)
  }

  /**
   * The value of the only query parameter with this percent-encoded name, or why it has none. The query is parsed once,
   * regardless of how many parameters are covered.
   */
  parameter(name: string): string | BaseProblem {
    this.#parameters ??= readQueryParameters(this.query.slice(1)) ?? TOO_MANY
    if ('problem' in this.#parameters) return this.#parameters
    const value = this.#parameters.get(name)
    return value === undefined
      ? { problem: `the query does not have exactly one parameter named ${quote(name)}` }
      : encodeParameter(value)
  }

  get #markAt(): number {
    this.#mark ??= markOf(this.text)
    return this.#mark
  }
}

const UNREADABLE = -2

const TOO_MANY: BaseProblem = { problem: `the query has more than ${MOST_QUERY_PARAMETERS} parameters` }

/** RFC 9110 9.1: a token. */
const METHOD = /^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$/

/** Any character outside printable ASCII, or `#`. */
const NOT_OF_TARGET = /[^!"$-~]/

/** The index of the query. -1 if there is no query. */
function markOf(target: string): number {
  return target.startsWith('/') && !NOT_OF_TARGET.test(target) ? target.indexOf('?') : UNREADABLE
}

/** The value of a derived component without parameters (RFC 9421 2.2), or why it has no value. */
export function derivedValue(message: MessageParts, target: Target, name: string): string | BaseProblem {
  const { method, scheme } = message
  switch (name) {
    case '@method':
      return METHOD.test(method) ? method : { problem: 'the method is not a token' }
    case '@authority':
      return authorityOf(message)
    case '@scheme':
      return scheme ?? { problem: 'the scheme is not known, so `@scheme` cannot be derived' }
    case '@path':
    case '@query':
    case '@request-target':
    case '@target-uri':
      if (target.isReadable) break
      return { problem: 'the request target is not a path with an optional query in printable ASCII' }
    default:
      return {
        problem: componentProblem({ name, parameters: [] }) ?? `component ${quote(name)} is not supported`,
      }
  }
  if (name === '@request-target') return target.text
  if (name === '@target-uri') {
    const authority = authorityOf(message)
    if (scheme === undefined) {
      return { problem: 'the scheme is not known, so `@target-uri` cannot be derived' }
    }
    return typeof authority === 'string' ? `${scheme}://${authority}${target.text}` : authority
  }
  return name === '@path' ? target.path : target.query
}

/** RFC 9421 2.2.3: in lower case, without the default port. */
function authorityOf({ authority, authorityProblem, scheme }: MessageParts): string | BaseProblem {
  const host = authority === undefined ? undefined : readHost(authority)
  if (host === undefined)
    return { problem: authorityProblem ?? 'the request does not have exactly one readable Host header' }
  if (host.endsWith(':')) return host.slice(0, -1)
  if (scheme !== 'https' && host.endsWith(':80')) return host.slice(0, -3)
  if (scheme !== 'http' && host.endsWith(':443')) return host.slice(0, -4)
  return host
}

/** Converts a host to lower case. Most callers send it in lower case, so that is tried first. */
function readHost(authority: string): string | undefined {
  if (AUTHORITY.test(authority)) return authority
  const host = authority.toLowerCase()
  return AUTHORITY.test(host) ? host : undefined
}
