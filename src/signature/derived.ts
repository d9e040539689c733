// Shared by the verifier and by `portcullis/client`: nothing here may need more than the language itself.
import { MOST_QUERY_PARAMETERS } from './budget.ts'
import { componentProblem, encodeParameter, quote, readQueryParameters } from './components.ts'

/** What a signature can cover of a request. */
export interface MessageParts {
  /** As on the wire; methods are case-sensitive. */
  readonly method: string
  /** The `Host` as received; `undefined` when there was not exactly one. */
  readonly authority: string | undefined
  /** The request target as on the wire, in origin form: path and query. */
  readonly target: string
  /**
   * The scheme by which the signer called. Left out when it is not known: then `@scheme` and `@target-uri` cannot be
   * derived, and both default ports count as default.
   */
  readonly scheme?: 'http' | 'https' | undefined
  /** Every line of the header of this lower-case name, in order of arrival. */
  header(name: string): readonly string[]
}

/** Why no signature base can be made, as a phrase for operators. */
export interface BaseProblem {
  readonly problem: string
}

// A single registered name, IPv4 or bracketed IPv6 address, with or without a port. No comma: that is two hosts.
const AUTHORITY = /^(?:[a-z0-9._~!$&'()*+;=%-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/

/** A request target, taken apart once for all components. */
export class Target {
  readonly text: string
  #mark: number | undefined
  #parameters: ReturnType<typeof readQueryParameters> | BaseProblem

  constructor(text: string) {
    this.text = text
  }

  /** Absolute and other forms of the target name a second authority, and `#` is read differently by routers. */
  get isReadable(): boolean {
    return this.#markAt !== UNREADABLE
  }

  get path(): string {
    return this.#markAt === -1 ? this.text : this.text.slice(0, this.#markAt)
  }

  /** RFC 9421 2.2.7: no query and an empty query are the same, a lone question mark. */
  get query(): string {
    return this.#markAt === -1 ? '?' : this.text.slice(this.#markAt)
  }

  /**
   * The value of the only query parameter of this percent-encoded name, or why it has no value. The query is parsed once,
   * however many parameters are covered.
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

/** Outside of printable ASCII, or `#`. */
const NOT_OF_TARGET = /[^!"$-~]/

/** Where the query begins; -1 when there is no query. */
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
function authorityOf({ authority, scheme }: MessageParts): string | BaseProblem {
  const host = authority === undefined ? undefined : readHost(authority)
  if (host === undefined) return { problem: 'the request does not have exactly one readable Host header' }
  if (host.endsWith(':')) return host.slice(0, -1)
  if (scheme !== 'https' && host.endsWith(':80')) return host.slice(0, -3)
  if (scheme !== 'http' && host.endsWith(':443')) return host.slice(0, -4)
  return host
}

/** In lower case. Nearly all callers write it so, and to make it so takes as long as to read it. */
function readHost(authority: string): string | undefined {
  if (AUTHORITY.test(authority)) return authority
  const host = authority.toLowerCase()
  return AUTHORITY.test(host) ? host : undefined
}
