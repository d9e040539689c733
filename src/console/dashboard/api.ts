import { signal } from '@preact/signals'
import type { AppRows, ProblemView, SessionView, StartView } from '../contract.ts'
import { place } from './route.ts'

/** The signed-in user; `undefined` while unknown, `null` if nobody is signed in. */
export const session = signal<SessionView | null | undefined>(undefined)

/** Where users sign in to the app that serves the console, if not with a token. */
export const signInUrl = signal<string | undefined>(undefined)

/** Whether the session of the signed-in user has ended. */
export const hasEnded = signal(false)

/** How many requests are in progress; shown as a bar at the top. */
export const running = signal(0)

const ROOT = new URL('./api/', document.baseURI)

/** The API refused the request. */
export class Refused extends Error {
  readonly problem: ProblemView

  constructor(problem: ProblemView) {
    super(problem.detail ?? problem.title)
    this.problem = problem
  }
}

/** The URL of something that the browser itself requests. */
export const urlOf = (path: string): URL => new URL(path, ROOT)

interface Init {
  readonly body?: unknown
  readonly revision?: number
}

/** Changes that are in progress. */
const changes = new Map<string, Promise<unknown>>()

/** Calls the API; rejects with {@link Refused}. A change that is in progress is not sent again, for example on a double click. */
export function ask<Answer>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  { body, revision }: Init = {},
): Promise<Answer> {
  const content = body === undefined ? undefined : JSON.stringify(body)
  if (method === 'GET') return send<Answer>(method, path, content, revision)
  const key = `${method} ${path} ${revision} ${content}`
  const known = changes.get(key) as Promise<Answer> | undefined
  if (known !== undefined) return known
  const sent = send<Answer>(method, path, content, revision).finally(() => changes.delete(key))
  changes.set(key, sent)
  return sent
}

async function send<Answer>(
  method: string,
  path: string,
  content: string | undefined,
  revision: number | undefined,
): Promise<Answer> {
  const asking = session.value
  running.value += 1
  try {
    const response = await fetch(new URL(path, ROOT), {
      method,
      credentials: 'same-origin',
      headers: {
        ...(content !== undefined && { 'content-type': 'application/json' }),
        ...(method !== 'GET' && session.value && { 'x-csrf-token': session.value.csrf }),
        ...(revision !== undefined && { 'if-match': `"${revision}"` }),
      },
      ...(content !== undefined && { body: content }),
    })
    const text = await response.text()
    const answer: unknown = text === '' ? undefined : parse(text)
    if (response.ok) return answer as Answer
    if (response.status === 401 && path !== 'session' && session.value === asking) endSession()
    throw new Refused((answer as ProblemView | undefined) ?? unknownProblem(response.status))
  } catch (error) {
    if (error instanceof Refused) throw error
    throw new Refused({ ...unknownProblem(0), title: 'The server could not be reached' })
  } finally {
    running.value -= 1
  }
}

/** Keeps the page and what was typed on it. */
function endSession(): void {
  if (session.value) hasEnded.value = true
  else session.value = null
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unknownProblem(status: number): ProblemView {
  return { status, code: 'UNKNOWN', title: `The server answered with status ${status}`, instance: '' }
}

let firstApps: AppRows | undefined

/** The apps that came with the start data. Returned only once, because they may be out of date later. */
export function takeFirstApps(): AppRows | undefined {
  const taken = firstApps
  firstApps = undefined
  return taken
}

/** Checks whether somebody is already signed in, or is admitted by the sign-in of the app. */
export async function findSession(): Promise<void> {
  try {
    // index.html requests the same URL while this script is loading.
    const { session: found, apps, signInUrl: url } = await ask<StartView>('GET', 'start')
    signInUrl.value = url
    firstApps = place.value.length === 0 ? apps : undefined
    if (found === null) await continueSession()
    else session.value = found
  } catch {
    session.value = null
  }
}

/** Signs in a user whom the app already knows. Resolves with whether it knows them; rejects with {@link Refused}. */
export async function continueSession(): Promise<boolean> {
  const found = await ask<SessionView | null>('POST', 'session', { body: {} })
  // The page of a user whose session has ended is kept.
  session.value = found ?? session.value ?? null
  if (found !== null) hasEnded.value = false
  return found !== null
}

/** Signs in; rejects with {@link Refused}. */
export async function signIn(token: string): Promise<void> {
  await ask('POST', 'session', { body: { token } })
  // Read again, because the user is not signed in if the browser rejected the cookie.
  session.value = await ask<SessionView | null>('GET', 'session')
  hasEnded.value = false
}

export async function signOut(): Promise<void> {
  await ask('DELETE', 'session').catch(() => undefined)
  session.value = null
  hasEnded.value = false
}

export const may = (...rights: SessionView['rights'][number][]): boolean =>
  rights.some((right) => session.value?.rights.includes(right) === true)

export const appPath = (appId: string, rest = ''): string => `apps/${encodeURIComponent(appId)}${rest}`
