import type { AppKey } from '../../signature/keys.ts'
import type { StoredList } from '../../store/list-contract.ts'
import { CommandUsageError, NotFoundError, type ExitCode, type Invocation, type Run } from '../command.ts'
import { readJson } from '../input.ts'
import { openStore, readApp, type CommandStore, type OpenedStore } from '../store.ts'

/** A policy that an argument names. */
export interface NamedPolicy {
  readonly document: unknown
  readonly revision: number | undefined
  readonly keys: readonly AppKey[]
}

/** Opens the store only if an argument needs it, so that a command with only files needs no store. */
export interface PolicyReader {
  read(operand: string): Promise<NamedPolicy>
  /** Reads a named list of the store. */
  lists(name: string): Promise<StoredList | undefined>
}

/** Whether an argument is a path and not an app id. */
export function isPath(operand: string): boolean {
  return operand === '-' || operand.includes('/') || operand.includes('\\') || operand.endsWith('.json')
}

/** Runs a command whose arguments name policies. */
export function withPolicies(act: (invocation: Invocation, reader: PolicyReader) => Promise<ExitCode>): Run {
  return async (invocation) => {
    let opened: OpenedStore | undefined
    const reader: PolicyReader = {
      async lists(name) {
        opened ??= await openStore(invocation)
        return opened.store.readList(name)
      },
      async read(operand) {
        if (isPath(operand))
          return { document: await readJson(invocation, operand), revision: undefined, keys: [] }
        opened ??= await openStore(invocation)
        const [, appId = operand, at] = /^(.*)@(\d+)$/.exec(operand) ?? []
        if (at !== undefined)
          return { document: await policyAt(opened.store, appId, Number(at)), revision: Number(at), keys: [] }
        const { policy, revision, keys } = await readApp(opened.store, appId)
        return { document: policy, revision, keys }
      },
    }
    try {
      return await act(invocation, reader)
    } finally {
      opened?.close()
    }
  }
}

/** The policy of an app at a revision. */
export async function policyAt(store: CommandStore, appId: string, revision: number): Promise<unknown> {
  const [found] = await store.history(appId, { before: revision + 1, limit: 1 })
  if (found?.revision !== revision)
    throw new NotFoundError(`the app \`${appId}\` has no revision ${revision} in its history`)
  if (found.policy !== undefined) return found.policy
  throw new NotFoundError(`the app \`${appId}\` has no policy at revision ${revision}, which removed it`)
}

/** The app id in a document that may be invalid. */
export function appIdOf(document: unknown, path: string): string {
  const appId: unknown = (document as { readonly appId?: unknown } | null)?.appId
  if (typeof appId === 'string' && appId !== '') return appId
  throw new CommandUsageError(`\`${path}\` must contain a policy with an \`appId\``)
}
