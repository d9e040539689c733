import type { Expectation } from '../../options.ts'
import { parseOrigin } from '../../match/origin.ts'
import type { SignedMessage } from '../../signature/verify.ts'
import type { Callback, GuardRequest } from '../handler.ts'

/**
 * Where callers reach this service, as an origin: `https://gateway.example`.
 *
 * - One text is the authority of every request, whatever `Host` arrives: for a proxy that writes another one.
 * - Of a list one must have the `Host` that arrives.
 * - A function says it of each request, from a source that callers cannot write; what is no origin refuses.
 */
export type AuthorityOption = string | readonly string[] | Callback<[req: GuardRequest], string | undefined>

export const AN_AUTHORITY: Expectation = {
  expected: 'an origin like `https://gateway.example`, a list of them with different hosts, or a function',
  accepts: (value) =>
    typeof value === 'function' ||
    readOrigin(value) !== undefined ||
    (Array.isArray(value) && value.length > 0 && haveDifferentHosts(value)),
}

type Place = Required<Pick<SignedMessage, 'authority' | 'scheme'>>

/** Gives a message the authority that the option says in place of its `Host`; without one it cannot be verified. */
export type AuthoritySetter = (message: SignedMessage, req: GuardRequest) => SignedMessage

export function authoritySetter(option: AuthorityOption | undefined): AuthoritySetter {
  if (option === undefined) return (message) => message
  const placeOf = placeReader(option)
  return (message, req) => {
    // Two Host lines, or none, are refused whatever is trusted in their place.
    const place = message.authority === undefined ? undefined : placeOf(message.authority, req)
    return { ...message, authority: place?.authority, scheme: place?.scheme }
  }
}

function placeReader(option: AuthorityOption): (host: string, req: GuardRequest) => Place | undefined {
  if (typeof option === 'function') return (_host, req) => readOrigin(answerOf(option, req))
  if (typeof option === 'string') {
    const place = readOrigin(option)
    return () => place
  }
  const places = option.map(readOrigin)
  return (host) => places.find((place) => place !== undefined && isHostOf(host.toLowerCase(), place))
}

function answerOf(option: (req: GuardRequest) => string | undefined, req: GuardRequest): unknown {
  try {
    return option(req)
  } catch {
    return undefined
  }
}

/** A host may name the default port. */
function isHostOf(host: string, { authority, scheme }: Place): boolean {
  return host === authority || host === `${authority}:${scheme === 'https' ? 443 : 80}`
}

function readOrigin(value: unknown): Place | undefined {
  if (typeof value !== 'string' || parseOrigin(value) !== value) return undefined
  const [, scheme, authority] = /^(https?):\/\/(.+)$/.exec(value) ?? []
  return scheme === undefined ? undefined : { scheme: scheme as 'http' | 'https', authority }
}

function haveDifferentHosts(values: readonly unknown[]): boolean {
  const places = values.map(readOrigin)
  const hosts = new Set(places.map((place) => place?.authority))
  return hosts.size === values.length && !hosts.has(undefined)
}
