import { UsageError } from '../errors.ts'
import type { GuardRequest, GuardResponse } from '../http/handler.ts'
import type { PortcullisContext } from '../http/portcullis.ts'
import { keptRawBody } from '../http/request/content.ts'
import { listOf, runGuards, SOME_GUARDS, type Guards } from '../http/run-guards.ts'
import { checkOptions } from '../options.ts'

export type { PortcullisContext }

/** The part of a Hono context that is used. */
export interface HonoContextLike {
  readonly env: unknown
  set(key: never, value: unknown): void
}

/** The environment that `@hono/node-server` provides. */
interface NodeEnvironment {
  readonly incoming?: GuardRequest & { rawBody?: Buffer }
  readonly outgoing?: GuardResponse
}

/**
 * A middleware for Hono 4 on Node (`@hono/node-server`): `app.use('/auth/*', portcullisHono(protect({ … })))`. It takes
 * `protect({ … })`, or guards and `bodyParsers()` in their order. Handlers read the body as usual (`c.req.json()`), and find the
 * context in `c.get('portcullis')`. If a body parser fails, the response has the status of its error.
 *
 * @throws ConfigError
 */
export function portcullisHono(
  guards: Guards,
): (context: HonoContextLike, next: () => Promise<void>) => Promise<Response | undefined> {
  const settings = checkOptions('portcullisHono', { guards }, { guards: SOME_GUARDS })
  const handlers = listOf(settings.guards as Guards)
  return async (context, next) => {
    const { incoming, outgoing } = (context.env ?? {}) as NodeEnvironment
    if (incoming === undefined || outgoing === undefined) {
      throw new UsageError('portcullis/hono needs a Node server: serve the app with `@hono/node-server`')
    }
    const passed = await new Promise<boolean>((resolve, reject) => {
      outgoing.once('close', () => resolve(false))
      runGuards(handlers, incoming, outgoing, (error) => {
        if (error === undefined) resolve(true)
        else reject(answerable(error))
      })
    })
    if (!passed) return alreadySent()
    const bytes = incoming.readableDidRead ? keptRawBody(incoming) : undefined
    if (bytes !== undefined) incoming.rawBody = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    context.set('portcullis' as never, incoming.portcullis)
    await next()
    return undefined
  }
}

/**
 * This header tells the server that the response was already sent. The server replaces the global `Response` with its own class,
 * and ignores the header on instances of it. A clone is an instance of the platform's class.
 */
function alreadySent(): Response {
  return new Response(null, { headers: { 'x-hono-already-sent': 'true' } }).clone()
}

/** Adds the method by which Hono turns its own errors into responses. */
function answerable(error: unknown): unknown {
  const { status, expose, message } = error as { status?: unknown; expose?: unknown; message?: unknown }
  if (!(error instanceof Error) || typeof status !== 'number') return error
  return Object.assign(error, {
    getResponse: () => new Response(expose === true ? String(message) : null, { status }),
  })
}
