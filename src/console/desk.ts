import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { PolicyError, type PolicyIssue, type RevisionConflict } from '../errors.ts'
import { isAppId } from '../names.ts'
import { parsePolicy } from '../policy/parse.ts'
import type { Policy } from '../policy/policy.ts'
import type { StoredApp } from '../store/contract.ts'
import type { AppView, DraftView, EditedView, ThreeWay } from './contract.ts'
import type { Draft, Drafts } from './drafts.ts'
import { mergePolicies } from './merge.ts'
import type { ConsoleOptions } from './options.ts'
import { ConsoleProblem } from './problems.ts'
import { assess, highestScoreOf, nextStepOf, parseAssessed, stepsOf } from './steps.ts'
import { changesInWords } from './words.ts'

/** What all routes work with. */
export interface Desk extends Pick<
  ConsoleOptions,
  'store' | 'recentEvents' | 'judgedKey' | 'accessReport' | 'regions'
> {
  readonly drafts: Drafts
  now(): number
  onError(error: unknown): void
}

/**
 * What follows on something that is done: looking at it, or clearing up. Where it fails the fault is reported and the answer is
 * `undefined`, because "refused" would be untrue.
 */
export async function afterwards<Result>(
  { onError }: Pick<Desk, 'onError'>,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work()
  } catch (error) {
    // Somebody may have removed meanwhile what is looked at: no fault.
    if (!(error instanceof ConsoleProblem)) onError(error)
    return undefined
  }
}

/** An app whose document is good. */
export interface FoundApp {
  readonly stored: StoredApp
  readonly policy: Policy
}

/** @throws ConsoleProblem if there is no such app, or if its stored policy is not valid. */
export async function findApp(desk: Desk, appId: string): Promise<FoundApp> {
  const { stored, policy, issues } = await findStored(desk, appId)
  if (policy === undefined)
    throw new ConsoleProblem('STORED_POLICY_INVALID', { issues, revision: stored.revision })
  return { stored, policy }
}

/**
 * Finds an app. Its policy is `undefined` if the stored document is not valid, for example if another version has written it.
 *
 * @throws ConsoleProblem if there is no such app.
 */
export async function findStored(
  { store }: Desk,
  appId: string,
): Promise<{
  readonly stored: StoredApp
  readonly policy: Policy | undefined
  readonly issues?: readonly PolicyIssue[]
}> {
  const stored = isAppId(appId) ? await store.read(appId) : undefined
  if (stored === undefined) throw new ConsoleProblem('NOT_FOUND', { detail: 'there is no app with this id' })
  try {
    return { stored, policy: parseOnce(stored.policy) }
  } catch (error) {
    if (error instanceof PolicyError) return { stored, policy: undefined, issues: error.issues }
    throw error
  }
}

/**
 * By the digests of their documents. One of 20,000 ranges takes a third of a second to parse and assess. Made when it is first
 * needed, for the cache takes all of its places at once.
 */
let parsed: LRUCache<string, Policy> | undefined

/** What was parsed lately need not be parsed for every look, and `assess` knows it too. */
export function parseOnce(document: unknown): Policy {
  const text = JSON.stringify(document) ?? ''
  const key = createHash('sha256').update(text).digest('base64')
  parsed ??= new LRUCache({ max: 20_000, maxSize: 16 * 1_048_576 })
  const known = parsed.get(key)
  if (known !== undefined) return known
  const policy = parseAssessed(document)
  parsed.set(key, policy, { size: Math.max(text.length, 1) })
  return policy
}

/** Everything that the page of an app shows, but for its keys. */
export async function viewApp(desk: Desk, appId: string): Promise<AppView> {
  const { app, draft } = await findWithDraft(desk, appId)
  const { stored, policy } = app
  const keys = (await desk.store.keys(appId)) ?? []
  const now = desk.now()
  const { score, findings, moreFindings } = assess(policy)
  const shown = draft?.policy ?? policy
  return {
    appId,
    revision: stored.revision,
    policy,
    score,
    highestScore: highestScoreOf(policy, keys),
    findings,
    moreFindings,
    steps: stepsOf(shown, keys, now),
    next: nextStepOf(shown, keys, now),
    draft: draft && viewDraft(draft, app),
  }
}

/**
 * An app and its draft. If the draft began from an earlier revision and would change nothing, it was published, but could not be
 * deleted then: it is deleted now.
 *
 * @throws ConsoleProblem when there is no such app.
 */
export async function findWithDraft(
  desk: Desk,
  appId: string,
): Promise<{ readonly app: FoundApp; readonly draft: Draft | undefined }> {
  // The draft first: one that is saved after the app was read would be compared with a revision that it does not begin from.
  const draft = isAppId(appId) ? await desk.drafts.find(appId) : undefined
  const app = await findApp(desk, appId)
  const { stored, policy } = app
  // A store may answer with an older revision than it has. What begins from a later one was not published.
  if (draft === undefined || draft.base >= stored.revision) return { app, draft }
  if (changesInWords(policy, draft.policy).length > 0)
    return { app, draft: await onRevisionInForce(desk, draft, app) }
  await afterwards(desk, () => desk.drafts.discard(appId, draft.version))
  return { app, draft: undefined }
}

/** Moves a draft to the current revision if the policy is the same as at its base, for example if only keys were changed. */
export async function onRevisionInForce(
  desk: Desk,
  draft: Draft,
  { stored, policy }: FoundApp,
): Promise<Draft> {
  if (draft.base >= stored.revision) return draft
  const began = await policyAt(desk, policy.appId, draft.base)
  const isSame = began !== undefined && changesInWords(began, policy).length === 0
  return isSame ? { ...draft, base: stored.revision } : draft
}

/** Ends the draft of an app that was removed. If somebody has made the app again meanwhile, the draft may be theirs, and stays. */
export async function dropDraft(
  { drafts, store }: Pick<Desk, 'drafts' | 'store'>,
  appId: string,
): Promise<void> {
  const draft = await drafts.find(appId)
  if (draft !== undefined && (await store.read(appId)) === undefined)
    await drafts.discard(appId, draft.version)
}

/** Makes an app by `write`, and ends the draft that was left behind when an app with this id was removed. */
export async function withoutOldDraft<Result>(
  desk: Desk,
  appId: string,
  write: () => Promise<Result>,
): Promise<Result> {
  // Whatever is saved from now on may be a draft of the new app.
  const old = await desk.drafts.find(appId)
  const result = await write()
  if (old !== undefined) await afterwards(desk, () => desk.drafts.discard(appId, old.version))
  return result
}

/** For a caller that has both policies. */
export function withoutPolicies({ policy: _inForce, draft, ...view }: AppView): EditedView {
  if (draft === undefined) return view
  const { policy: _edited, ...rest } = draft
  return { ...view, draft: rest }
}

export function viewDraft(draft: Draft, { stored, policy }: FoundApp): DraftView {
  const { score, findings, moreFindings } = assess(draft.policy)
  return {
    ...draft,
    stale: draft.base !== stored.revision,
    score,
    highestScore: highestScoreOf(draft.policy, stored.keys),
    findings,
    moreFindings,
    changes: changesInWords(policy, draft.policy),
  }
}

/** The policy of an earlier revision; `undefined` if the history no longer has it. */
export async function policyAt(
  { store }: Desk,
  appId: string,
  revision: number,
): Promise<Policy | undefined> {
  const [row] = await store.history(appId, { before: revision + 1, limit: 1 })
  if (row?.revision !== revision || row.policy === undefined) return undefined
  try {
    return parsePolicy(row.policy)
  } catch (error) {
    if (error instanceof PolicyError) return undefined
    throw error
  }
}

/** Three views of a conflict. If the base is no longer known, every difference is a conflict. */
export function threeWay(base: Policy | undefined, theirs: Policy, yours: Policy): ThreeWay {
  const { merged, conflicts } = mergePolicies(base ?? {}, theirs, yours)
  return {
    base,
    theirs,
    yours,
    merged: base === undefined || conflicts.length > 0 ? undefined : readable(merged),
    conflicts,
    theirChanges: changesInWords(base, theirs),
    yourChanges: changesInWords(base, yours),
  }
}

/** Two good documents can make one that is refused together. */
function readable(document: object): Policy | undefined {
  try {
    return parsePolicy(document)
  } catch (error) {
    if (error instanceof PolicyError) return undefined
    throw error
  }
}

/** What is refused because somebody else wrote meanwhile, with what they wrote. */
export async function staleProblem(
  desk: Desk,
  appId: string,
  error: RevisionConflict,
  yours?: Policy,
): Promise<ConsoleProblem> {
  if (yours === undefined || error.actual === 0) return new ConsoleProblem('REVISION_STALE')
  const [base, { policy }] = await Promise.all([policyAt(desk, appId, error.expected), findApp(desk, appId)])
  return new ConsoleProblem('REVISION_STALE', { conflict: threeWay(base, policy, yours) })
}
