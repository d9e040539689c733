import { ConfigError } from '../../errors.ts'
import { aFunction, checkOptions, type Expectation } from '../../options.ts'
import { readSignatures } from '../../signature/fields.ts'
import type { GuardRequest } from '../handler.ts'

/** Where the app id stands. Exactly one of them. */
export type AppIdPlace =
  /** A request header: `x-app-id`. */
  | { readonly header: string }
  /** A parameter of the query, once: `?app=…`. */
  | { readonly query: string }
  /** A parameter of the route: `/apps/:appId/…`. */
  | { readonly param: string }
  /** The key id of the only message signature, turned into an app id by this function. `undefined`: there is no such app. */
  | { readonly keyId: (keyId: string) => string | undefined }

// A registered symbol: the builds for ESM and CommonJS may meet in one process.
const routed = Symbol.for('portcullis.needsRouter')

/** Whether this reader finds an app id only behind a router. */
export function needsRouter(reader: object): boolean {
  return Object.hasOwn(reader, routed)
}

const PLACES = ['header', 'query', 'param', 'keyId']

/**
 * Makes the `appId` option of the guards: reads the app id from one place of the request. An app id is a public claim;
 * it is `serverOnly` that proves it. What stands in the place twice counts as nothing.
 *
 * A browser sends no header of yours with a preflight. With the id in the path or the query a preflight is judged by its
 * app, with the id in a header by the origins of all apps.
 *
 * @throws ConfigError
 */
export function appIdFrom(place: AppIdPlace): (req: GuardRequest) => string | undefined {
  checkOptions('appIdFrom', place, { header: TOKEN, query: NAME, param: NAME, keyId: aFunction })
  if (Object.values(place).filter((value) => value !== undefined).length !== 1) {
    throw new ConfigError('appIdFrom options', `an object with one of ${PLACES.join(', ')}`, place)
  }
  if ('header' in place) {
    const name = place.header.toLowerCase()
    return (req) => single(req.headers[name])
  }
  if ('query' in place) return (req) => onlyParameter(req, place.query)
  if ('param' in place) {
    const read = (req: GuardRequest): string | undefined =>
      single((req.params as Record<string, unknown> | undefined)?.[place.param])
    return Object.assign(read, { [routed]: true })
  }
  const { keyId } = place
  return (req) => {
    const id = signatureKeyId(req)
    return id === undefined ? undefined : (keyId(id) ?? NO_APP)
  }
}

// Can be the id of no app. A key of nobody is then told what a wrong signature is told, and not that it is of nobody.
const NO_APP = '?'

/** The key id of the only signature of the message. */
function signatureKeyId(req: GuardRequest): string | undefined {
  const input = single(req.headers['signature-input'])
  const signature = single(req.headers['signature'])
  if (input === undefined || signature === undefined) return undefined
  const received = readSignatures([input], [signature])
  return 'problem' in received || received.length !== 1 ? undefined : received[0]?.keyId
}

function single(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** Reads the raw query: the parsers of Express 4 and 5 differ, and drop parameters after the thousandth. */
function onlyParameter(req: GuardRequest, name: string): string | undefined {
  const target = req.originalUrl ?? req.url ?? ''
  const start = target.indexOf('?')
  if (start === -1) return undefined
  const values = new URLSearchParams(target.slice(start + 1)).getAll(name)
  return values.length === 1 ? values[0] : undefined
}

const TOKEN: Expectation = {
  expected: 'the name of a header',
  accepts: (value) => typeof value === 'string' && /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(value),
}

const NAME: Expectation = {
  expected: 'the name of a parameter',
  accepts: (value) => typeof value === 'string' && value !== '',
}
