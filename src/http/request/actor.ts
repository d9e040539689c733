import type { ActorKind } from '../../audit/event.ts'
import type { GuardRequest } from '../handler.ts'
import { askNow } from './ask-option.ts'

/** The result of the `actor` option: an id, optionally with the kind of actor. */
export type Actor = string | { readonly id: string; readonly kind?: ActorKind | undefined }

/** The actor; `unreadable` if the option failed, because the actor may then be a member of staff. */
export type ReadActor =
  { readonly id: string; readonly kind: ActorKind | undefined } | 'unreadable' | undefined

const KINDS = ['staff', 'user', 'system'] satisfies ActorKind[]

/** Calls the `actor` option. Its result is not trusted. */
export function actorOf(option: ((req: GuardRequest) => unknown) | undefined, req: GuardRequest): ReadActor {
  if (option === undefined) return undefined
  let given: unknown
  try {
    given = askNow(option, 'actor', req)
  } catch {
    return 'unreadable'
  }
  if (given === undefined || given === null || given === '') return undefined
  if (typeof given === 'string') return { id: given, kind: undefined }
  if (typeof given !== 'object') return 'unreadable'
  const { id, kind } = Object.assign(Object.create(null), given) as { id?: unknown; kind?: unknown }
  if (typeof id !== 'string' || id === '') return 'unreadable'
  if (kind === undefined) return { id, kind }
  return KINDS.includes(kind as ActorKind) ? { id, kind: kind as ActorKind } : 'unreadable'
}
