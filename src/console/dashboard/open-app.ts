import { batch, signal } from '@preact/signals'
import type { AppView, DraftView, EditedView, Policy, ProblemView, ThreeWay } from '../contract.ts'
import { editsBetween, withEdits } from '../draft-edits.ts'
import { appPath, ask, Refused } from './api.ts'
import { tellRefusal } from './message.ts'

/** The app whose page is open. */
export const openApp = signal<AppView | undefined>(undefined)

/** The reason why the app of the page cannot be shown. */
export const loadProblem = signal<ProblemView | undefined>(undefined)

/** An edit that conflicts with an edit by somebody else. */
export const editConflict = signal<
  { readonly three: ThreeWay; readonly current: DraftView | undefined } | undefined
>(undefined)

/** Whether the dialog about the conflict is open. It can be closed without a decision. */
export const isDeciding = signal(false)

/** Whether an edit is being saved to the draft. */
export const saving = signal(false)

let last: Promise<unknown> = Promise.resolve()

/** Runs reads and edits one after another, because the answer to an earlier read must not replace the answer to an edit. */
function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const next = last.then(work)
  last = next.catch(() => undefined)
  return next
}

const viewOf = (appId: string): Promise<AppView> => ask<AppView>('GET', appPath(appId))

export function load(appId: string): Promise<void> {
  return inTurn(async () => {
    try {
      const view = await viewOf(appId)
      batch(() => {
        openApp.value = view
        loadProblem.value = undefined
      })
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const { problem } = error
      batch(() => {
        loadProblem.value = problem
        // An app that was removed is no longer shown. If the server cannot be reached, the page stays.
        if (openApp.value?.appId === appId && isGone(problem)) openApp.value = undefined
      })
      if (!isGone(problem)) throw error
    }
  })
}

const isGone = ({ code }: ProblemView): boolean => code === 'NOT_FOUND' || code === 'STORED_POLICY_INVALID'

export async function reload(): Promise<void> {
  const { appId } = openApp.value ?? {}
  if (appId !== undefined) await load(appId).catch(tellRefusal)
}

/** Shows the result of a change. If the app cannot be read, the change is done nevertheless. */
export async function showApp(view: AppView | undefined): Promise<void> {
  if (view === undefined) await reload()
  else openApp.value = view
}

/**
 * Adds an edit to the draft, after the edits in progress. Resolves with whether it was accepted. While a conflict is not decided, no
 * edit is accepted, and the dialog about the conflict opens.
 */
export function edit(change: (policy: Policy) => Policy): Promise<boolean> {
  const app = openApp.value
  if (app === undefined) return Promise.resolve(false)
  return inTurn(async () => {
    if (editConflict.value === undefined || openApp.value?.appId !== app.appId) return put(app, change)
    isDeciding.value = true
    return false
  })
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
  seen: AppView,
  change: (policy: Policy) => Policy,
  onto?: ThreeWay & { version: string | undefined },
): Promise<boolean> {
  const { appId } = seen
  // The page may show another app by now. The edit is kept nevertheless.
  const isOpen = (): boolean => openApp.value?.appId === appId
  const app = isOpen() ? (openApp.value ?? seen) : seen
  const before = onto?.theirs ?? app.draft?.policy ?? app.policy
  const version = onto === undefined ? app.draft?.version : onto.version
  saving.value = true
  try {
    const edits = editsBetween(before, change(before))
    const view = await ask<EditedView | undefined>('POST', appPath(appId, '/draft/edits'), {
      body: { ...(version !== undefined && { version }), revision: app.revision, edits },
    })
    if (isOpen())
      openApp.value = view ? whole(view, app.policy, withEdits(before, edits)) : await viewOf(appId)
    return true
  } catch (error) {
    const problem = error instanceof Refused ? error.problem : undefined
    const { conflict, current } = problem ?? {}
    if (problem !== undefined && isGone(problem)) void reload()
    if (conflict === undefined || !isOpen()) tellRefusal(error)
    else
      batch(() => {
        editConflict.value = { three: conflict, current }
        isDeciding.value = true
      })
    return false
  } finally {
    saving.value = false
  }
}

/** The view with the policies that the answer has left out. */
function whole(view: EditedView, inForce: Policy, edited: Policy): AppView {
  const { policy = inForce, draft } = view
  return { ...view, policy, draft: draft && { ...draft, policy: draft.policy ?? edited } }
}

/** Resolves a conflict with the edit of the other person, or with the user's own. */
export async function settle(take: 'theirs' | 'yours'): Promise<void> {
  const conflict = editConflict.value
  editConflict.value = undefined
  const app = openApp.value
  if (conflict === undefined || app === undefined) return
  const onto = { ...conflict.three, version: conflict.current?.version }
  if (take === 'yours') await inTurn(() => put(app, () => conflict.three.yours, onto))
  else await reload()
}
