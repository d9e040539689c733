import * as z from 'zod/mini'
import type { Route } from '../route.ts'
import { route } from '../route.ts'
import type { AppRows, SessionView, StartView } from '../contract.ts'
import { SESSION_COOKIE, type Session, type Sessions } from '../sessions.ts'

/** The routes for signing in and out. `firstApps` returns the first rows of the start page of the dashboard. */
export function sessionRoutes(
  sessions: Sessions,
  offers: SessionView['offers'],
  firstApps: () => Promise<AppRows>,
  signInUrl: string | undefined,
): Route[] {
  const view = ({ name, rights, csrf, byApp = false }: Session): SessionView => ({
    name,
    rights: [...rights],
    csrf,
    byApp,
    offers,
  })
  return [
    route({
      method: 'GET',
      path: '/session',
      access: 'anyone',
      summary: 'The signed-in user and their rights; `null` if nobody is signed in.',
      async handle({ req }) {
        const session = await sessions.find(req)
        return { body: session === undefined ? null : view(session) }
      },
    }),
    route({
      method: 'GET',
      path: '/start',
      access: 'anyone',
      summary:
        'The data that the dashboard starts with: the session as in `GET /session`, and the first apps if the user may see them.',
      async handle({ req }) {
        const session = await sessions.find(req)
        if (session === undefined) return { body: { session: null, signInUrl } satisfies StartView }
        // If the apps are missing, the dashboard requests them itself, and shows what is wrong.
        const apps = session.rights.has('look') ? await firstApps().catch(() => undefined) : undefined
        const body: StartView = { session: view(session), signInUrl, ...(apps && { apps }) }
        return { body }
      },
    }),
    route<{ token?: string }>({
      method: 'POST',
      path: '/session',
      access: 'anyone',
      summary:
        'Signs in with a token, or with the session of your own app. Without either, the answer is `null`.',
      body: () => z.strictObject({ token: z.optional(z.string().check(z.maxLength(1_000))) }),
      async handle({ req, body: { token } }) {
        const session = await sessions.begin(req, token)
        if (session === undefined) return { body: null }
        const cookie = `${SESSION_COOKIE}=${session.id}; Path=/; Secure; HttpOnly; SameSite=Strict`
        return { status: 201, body: view(session), headers: { 'Set-Cookie': cookie }, name: session.name }
      },
    }),
    route({
      method: 'DELETE',
      path: '/session',
      access: 'signed-in',
      summary: 'Signs out.',
      async handle({ session }) {
        await sessions.end(session)
        const cookie = `${SESSION_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0`
        return { headers: { 'Set-Cookie': cookie } }
      },
    }),
  ]
}
