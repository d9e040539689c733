import { ConfigError } from '../../errors.ts'
import { isProblem } from '../../match/problem.ts'
import { aFunction, checkOptions, type Expectation, type Expectations } from '../../options.ts'
import { readSignatures } from '../../signature/fields.ts'
import type { GuardRequest } from '../handler.ts'
import { findContext } from './context.ts'
import { HeaderLines } from './headers.ts'

/** Where the app id is: in one of these places, or in several. A request may use any of them; those that it uses must agree. */
export interface AppIdPlace {
  /** A request header: `x-app-id`. */
  readonly header?: string | undefined
  /** A query parameter, which must appear once: `?app=…`. */
  readonly query?: string | undefined
  /** A route parameter: `/apps/:appId/…`. */
  readonly param?: string | undefined
  /**
   * A member of a JSON or form body, nested ones by their path: `client_id`. It needs `bodyParsers()` before the guard;
   * `protect()` then reads the body first.
   */
  readonly body?: string | undefined
  /** The user name of HTTP Basic, as OAuth clients send their id (RFC 6749 2.3.1). The password is ignored. */
  readonly basic?: true | undefined
  /** Converts the key id of the only message signature to an app id. `undefined`: there is no such app. */
  readonly keyId?: ((keyId: string) => string | undefined) | undefined
}

type Reader = (req: GuardRequest) => string | undefined

/** Marks readers that need the body. A registered symbol, because another build may have created the reader. */
const NEEDS_BODY = Symbol.for('portcullis.needsBody')

/** Whether an `appId` option reads the body, which must then be parsed first. */
export function needsBody(option: object | undefined): boolean {
  return option !== undefined && Object.hasOwn(option, NEEDS_BODY)
}

// A registered symbol, for the same reason.
const NEEDS_ROUTER = Symbol.for('portcullis.needsRouter')

/** Whether this reader finds an app id only inside a router. */
export function needsRouter(reader: object): boolean {
  return Object.hasOwn(reader, NEEDS_ROUTER)
}

/**
 * Creates the `appId` option of the guards: a function that reads the app id from the request. An app id is a public claim;
 * `serverOnly` proves it. A value that appears twice in one place is ignored.
 *
 * A browser sends no header of yours with a preflight. If the id is in the path or the query, the policy of the app judges the
 * preflight; otherwise the domains of all apps count.
 *
 * @throws ConfigError
 */
export function appIdFrom(place: AppIdPlace): Reader {
  const places = checkOptions<AppIdPlace>('appIdFrom', place, PLACES, notPlaces)
  const readers = readersOf(places)
  const [first] = readers
  if (first === undefined) {
    throw new ConfigError(
      'appIdFrom',
      `an object with at least one of ${Object.keys(PLACES).join(', ')}`,
      place,
    )
  }
  const reader: Reader = readers.length === 1 ? first : (req) => agreed(readers, req)
  if (reader === first && places.param !== undefined) routeParameters.set(reader, places.param)
  return Object.assign(reader, {
    ...(places.body !== undefined && { [NEEDS_BODY]: true }),
    ...(places.param !== undefined && { [NEEDS_ROUTER]: true }),
  })
}

function readersOf({ header, query, param, body, basic, keyId }: AppIdPlace): Reader[] {
  const readers: Reader[] = []
  if (header !== undefined) {
    const name = header.toLowerCase()
    readers.push((req) => single(req.headers[name]))
  }
  if (query !== undefined) readers.push((req) => onlyParameter(req, query))
  if (param !== undefined) readers.push((req) => single(ownMember(req.params, param)))
  if (body !== undefined) readers.push((req) => memberOfBody(req, body))
  if (basic !== undefined) readers.push(userOfBasic)
  if (keyId !== undefined) {
    readers.push((req) => {
      const id = signatureKeyId(req)
      return id === undefined ? undefined : (keyId(id) ?? NO_APP)
    })
  }
  return readers
}

/** The id on which all places with an id agree; `undefined` if they differ, or if no place has one. */
function agreed(readers: readonly Reader[], req: GuardRequest): string | undefined {
  let found: string | undefined
  for (const read of readers) {
    const id = read(req)
    if (id === undefined || id === '') continue
    if (found !== undefined && found !== id) return undefined
    found = id
  }
  return found
}

function ownMember(object: unknown, name: string): unknown {
  if (typeof object !== 'object' || object === null || !Object.hasOwn(object, name)) return undefined
  return (object as Record<string, unknown>)[name]
}

function memberOfBody(req: GuardRequest, path: string): string | undefined {
  const reading = findContext(req)?.facts.parameter({ body: path })
  return reading === undefined || isProblem(reading) ? undefined : single(reading.value)
}

/** The longest `Authorization` line of HTTP Basic that is parsed. An id has at most 128 characters. */
const LONGEST_BASIC = 2_048

/** RFC 7617, and RFC 6749 2.3.1: the id is form-encoded before it is joined with the secret. */
function userOfBasic(req: GuardRequest): string | undefined {
  if (req.headers.authorization === undefined) return undefined
  // If there are two lines, `headers` has only the first.
  const line = new HeaderLines(req).one('authorization') ?? ''
  const encoded = line.length > LONGEST_BASIC ? undefined : /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(line)?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon === -1) return undefined
  try {
    return decodeURIComponent(text.slice(0, colon).replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

/** The route parameters of readers that use no other place. */
const routeParameters = new WeakMap<object, string>()

/** The route parameter that this reader uses; `undefined` if it uses another place. */
export function routeParameterOf(reader: object): string | undefined {
  return routeParameters.get(reader)
}

/** No app can have this id. An unknown key is then refused like a wrong signature, which does not reveal that the key is unknown. */
export const NO_APP = '?'

/** The key id of the only signature of the message. */
function signatureKeyId(req: GuardRequest): string | undefined {
  const input = single(req.headers['signature-input'])
  const signature = single(req.headers['signature'])
  if (input === undefined || signature === undefined) return undefined
  const received = readSignatures([input], [signature])
  return isProblem(received) || received.length !== 1 ? undefined : received[0]?.keyId
}

function single(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** Reads the raw query, because Express 4 and 5 parse it differently, and drop parameters after the thousandth. */
function onlyParameter(req: GuardRequest, name: string): string | undefined {
  const target = req.originalUrl ?? req.url ?? ''
  const start = target.indexOf('?')
  if (start === -1) return undefined
  const values = new URLSearchParams(target.slice(start + 1)).getAll(name)
  return values.length === 1 ? values[0] : undefined
}

/** The hint if something other than an object with places was given. */
function notPlaces(given: unknown): string | undefined {
  if (typeof given === 'function') return 'a function is an `appId` option by itself'
  if (typeof given === 'object' && given !== null && 'headers' in given && 'method' in given)
    return 'this is a request: call it, as in `appId: appIdFrom({ … })`'
  if (typeof given !== 'string') return undefined
  const name = given.replace(/^[:?]/, '').replace(/:$/, '')
  const place = given.startsWith(':') ? 'param' : given.startsWith('?') ? 'query' : 'header'
  return `write \`appIdFrom({ ${place}: ${JSON.stringify(name)} })\``
}

const isToken = (value: unknown): boolean =>
  typeof value === 'string' && /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(value)

const TOKEN: Expectation = { expected: 'the name of a header', accepts: isToken }

/** A name without the characters before or after it in a URL, a route or a JSON path. */
function bareName(expected: string, written: RegExp, accepts: Expectation['accepts']): Expectation {
  return { expected, accepts: (value) => accepts(value) && !written.test(value as string) }
}

const isName = (value: unknown): boolean => typeof value === 'string' && value !== ''
const PARAMETER = bareName('the name of a parameter', /^[?&]|=$/, isName)
const ROUTE_PARAMETER = bareName('the name of a parameter of the route', /^[/:]{1,2}/, isName)

const PATH = bareName(
  'a name, or names separated by dots',
  /^(?:\$\.|\/)/,
  (value) => typeof value === 'string' && /^[^.[\]]+(?:\.[^.[\]]+)*$/.test(value),
)

const YES: Expectation = { expected: 'true', accepts: (value) => value === true }

const PLACES: Expectations<AppIdPlace> = {
  header: TOKEN,
  query: PARAMETER,
  param: ROUTE_PARAMETER,
  body: PATH,
  basic: YES,
  keyId: aFunction,
}
