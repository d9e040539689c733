import { RevisionConflict } from '../errors.ts'
import type { ChangeNote, ManagedPolicyStore, WriteOptions } from './contract.ts'

export interface RollbackOptions extends ChangeNote, WriteOptions {
  /** The revision whose policy is restored. */
  readonly to: number
  /** The current revision; 0 if the app was removed. */
  readonly replaces: number
}

/**
 * Writes the policy of an earlier revision as a new revision. The history is never rewritten. Keys do not change, because a
 * revoked key must not come back. Returns the new revision. Rejects as `write` does, and with `RevisionConflict` if revision `to`
 * is not in the history or removed the app.
 */
export async function rollbackPolicy(
  store: ManagedPolicyStore,
  appId: string,
  { to, replaces, author, note, check }: RollbackOptions,
): Promise<number> {
  const [target] = await store.history(appId, { before: to + 1, limit: 1 })
  if (target?.revision !== to || target.policy === undefined)
    throw new RevisionConflict(appId, to, target?.revision ?? 0)
  const by = { author, note: note ?? `roll back to revision ${to}` }
  return check === undefined
    ? store.write({ policy: target.policy }, replaces, by)
    : store.write({ policy: target.policy }, replaces, by, { check })
}
