import { batch, signal } from '@preact/signals'
import type { AppView, Policy, ThreeWay, DraftView } from '../contract.ts'
import { appPath, ask, Refused } from './api.ts'
import { tellRefusal } from './message.ts'

/** The app whose page is open. */
export const openApp = signal<AppView | undefined>(undefined)

/** An edit that contradicts the edit of somebody else. */
export const editConflict = signal<
  { readonly three: ThreeWay; readonly current: DraftView | undefined } | undefined
>(undefined)

/** Whether an edit is on its way to the draft. */
export const saving = signal(false)

/** What the page shows: the draft, or else what is in force. */
export function shownPolicy(): Policy {
  const app = openApp.value
  if (app === undefined) throw new Error('no app is open')
  return app.draft?.policy ?? app.policy
}

export async function load(appId: string): Promise<void> {
  const view = await ask<AppView>('GET', appPath(appId))
  batch(() => {
    openApp.value = view
    editConflict.value = undefined
  })
}

/** Shows what a change has led to. Where that could not be looked at, the change is done nevertheless. */
export async function showApp(view: AppView | undefined): Promise<void> {
  if (view === undefined) await reload()
  else openApp.value = view
}

export async function reload(): Promise<void> {
  const { appId } = openApp.value ?? {}
  if (appId !== undefined) await load(appId).catch(tellRefusal)
}

let last: Promise<unknown> = Promise.resolve()

/** Puts an edit into the draft, behind the edits that are on their way. Says whether it was taken. */
export function edit(change: (policy: Policy) => Policy): Promise<boolean> {
  const next = last.then(() => put(change))
  last = next
  return next
}

/** Replaces members of one section. */
export function editSection<
  Name extends
    'serverOnly' | 'ipWhitelist' | 'domainProtect' | 'returnUrlGuard' | 'regionPin' | 'auditAccess',
>(
  name: Name,
  members: (section: Partial<NonNullable<Policy[Name]>>) => Readonly<Record<string, unknown>>,
): Promise<boolean> {
  return edit((policy) => {
    const section = policy[name] ?? {}
    return { ...policy, [name]: { mode: 'report', ...section, ...members(section) } }
  })
}

async function put(
  change: (policy: Policy) => Policy,
  onto?: ThreeWay & { version: string | undefined },
): Promise<boolean> {
  const app = openApp.value
  if (app === undefined) return false
  const before = onto?.theirs ?? shownPolicy()
  const version = onto === undefined ? app.draft?.version : onto.version
  saving.value = true
  try {
    const view = await ask<AppView | undefined>('PUT', appPath(app.appId, '/draft'), {
      body: { ...(version !== undefined && { version }), before, policy: change(before) },
    })
    await showApp(view)
    return true
  } catch (error) {
    const { conflict, current } = error instanceof Refused ? error.problem : {}
    if (conflict === undefined) tellRefusal(error)
    else editConflict.value = { three: conflict, current }
    return false
  } finally {
    saving.value = false
  }
}

/** Ends a conflict: with what the other has written, or with one's own in its place. */
export async function settle(take: 'theirs' | 'yours'): Promise<void> {
  const conflict = editConflict.value
  editConflict.value = undefined
  if (conflict === undefined) return
  if (take === 'yours')
    await put(() => conflict.three.yours, { ...conflict.three, version: conflict.current?.version })
  else await reload()
}
