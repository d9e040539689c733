import { Readable } from 'node:stream'
import { didYouMean } from '../did-you-mean.ts'
import type { GuardRequest, GuardResponse, NextFunction, RequestHandler } from '../http/handler.ts'
import type { PortcullisContext } from '../http/portcullis.ts'
import { keptRawBody } from '../http/request/content.ts'
import { listOf, runGuards, SOME_GUARDS, type Guards } from '../http/run-guards.ts'
import { checkOptions } from '../options.ts'

export type { PortcullisContext }

export interface PortcullisFastifyOptions {
  /** The guards that run before the routes: `protect({ … })`, or guards and `bodyParsers()` in their order. */
  readonly guards: Guards
}

/** The part of a Fastify request that the plugin uses. */
interface FastifyRequestLike {
  readonly raw: GuardRequest
  readonly ip: string
  readonly originalUrl: string
}

/**
 * The part of a Fastify 5 instance that the plugin uses. The plugin casts to it, because Fastify's own types are too complex to
 * compare with it.
 */
interface FastifyLike {
  readonly prefix: string
  addHook(name: string, hook: (...given: never[]) => unknown): unknown
  decorateRequest(name: string, value: { getter(): unknown }): unknown
  hasRequestDecorator(name: string): boolean
  hasRoute(route: { readonly method: string; readonly url: string }): boolean
  options(path: string, handler: (request: never, reply: never) => unknown): unknown
}

/**
 * A plugin for Fastify 5 that runs guards before all routes of the instance that registers it: `app.register(portcullisFastify, {
 * guards: protect({ … }) })`. The guards judge a request before Fastify's own parsers, which then parse the same bytes. Without a
 * `clientAddress` option the client address is `request.ip`, which follows Fastify's `trustProxy`. Handlers find the context in
 * `request.portcullis`.
 *
 * If the options are wrong, `app.ready()` rejects with a `ConfigError`.
 */
export function portcullisFastify(
  instance: { readonly prefix: string },
  options: PortcullisFastifyOptions,
  done: (error?: Error) => void,
): void {
  const fastify = instance as FastifyLike
  // Fastify adds options of its own, such as `prefix`. Only names that resemble ours are refused.
  const ours = Object.entries(options as object).filter(
    ([name]) => name === 'guards' || didYouMean(name, ['guards']) !== undefined,
  )
  const given = Object.fromEntries(ours) as object
  let guards: readonly RequestHandler[]
  try {
    guards = listOf(
      checkOptions<PortcullisFastifyOptions>('portcullisFastify', given, { guards: SOME_GUARDS }).guards,
    )
  } catch (error) {
    return done(error as Error)
  }
  if (!fastify.hasRequestDecorator('portcullis')) {
    fastify.decorateRequest('portcullis', {
      getter(this: FastifyRequestLike) {
        return this.raw.portcullis
      },
    })
  }
  fastify.addHook(
    'onRequest',
    (request: FastifyRequestLike, reply: { readonly raw: GuardResponse }, next: NextFunction) => {
      const { raw, ip, originalUrl } = request
      if (originalUrl !== raw.url) Object.assign(raw, { originalUrl })
      if (ip !== raw.socket.remoteAddress) Object.assign(raw, { ip })
      runGuards(guards, raw, reply.raw, next)
    },
  )
  fastify.addHook(
    'preParsing',
    (
      { raw }: FastifyRequestLike,
      _reply: unknown,
      payload: unknown,
      next: (error: null, payload: unknown) => void,
    ) => {
      const bytes = raw.readableDidRead ? keptRawBody(raw) : undefined
      next(null, bytes === undefined ? payload : replayed(bytes))
    },
  )
  // An instance with a prefix has no OPTIONS route, and its hooks do not run for requests that Fastify answers with 404.
  if (fastify.prefix !== '' && !fastify.hasRoute({ method: 'OPTIONS', url: `${fastify.prefix}/*` })) {
    fastify.options('*', (_request: never, reply: { callNotFound(): unknown }) => reply.callNotFound())
  }
  done()
}

// Registers the guards on the calling instance itself, not on an encapsulated child instance.
Object.assign(portcullisFastify, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'portcullis',
})

/** A stream that gives Fastify's parsers a body that was already read. */
function replayed(bytes: Uint8Array): Readable {
  const stream = new Readable({
    read() {
      this.push(bytes)
      this.push(null)
    },
  })
  return Object.assign(stream, { receivedEncodedLength: bytes.length })
}
