import * as z from 'zod/mini'
import { UnavailableError } from '../../errors.ts'
import { sayJsonFault } from '../../json-fault.ts'
import { isAppId } from '../../names.ts'
import type { Policy } from '../../policy/policy.ts'
import type { AppRevision, ChangeNote } from '../contract.ts'
import type { AppRecord } from '../records.ts'
import type { Sealing } from '../sealing.ts'

/** An app as stored in the file. Its policy is not parsed; its keys and notes are still sealed. */
export interface FileRecord extends AppRecord {
  readonly sealedKeys: string | undefined
  readonly history: readonly FileRevision[]
}

export interface FileRevision extends AppRevision, SealedNote {}

/** Author and note, in plain text or sealed together. */
export interface SealedNote extends ChangeNote {
  readonly by?: string | undefined
}

export type FileRecords = ReadonlyMap<string, FileRecord>

export function revisionSchema(): z.ZodMiniNumberFormat {
  return z.int().check(z.gte(1))
}

const makeSchemas = () => ({
  file: z.strictObject({ apps: z.custom<object>(isObject) }),
  app: z.strictObject({
    revision: z.optional(revisionSchema()),
    policy: z.optional(z.unknown()),
    keys: z.optional(z.string()),
    history: z.optional(
      z.array(
        z.strictObject({
          revision: revisionSchema(),
          at: z.string(),
          author: z.optional(z.string()),
          note: z.optional(z.string()),
          by: z.optional(z.string()),
          policy: z.optional(z.unknown()),
          keysChanged: z.optional(z.boolean()),
        }),
      ),
    ),
  }),
})

/** Created when the first file is read, because an app without a file store never needs them. */
let schemas: ReturnType<typeof makeSchemas> | undefined

/**
 * The content of the file, deeply frozen. Policies are not parsed, so an invalid one affects only its app.
 *
 * @throws UnavailableError that says where the fault is, and quotes none of the content.
 */
export function parseFile(bytes: Uint8Array): FileRecords {
  schemas ??= makeSchemas()
  const { app } = schemas
  const parsed = parseJson(bytes)
  const file = schemas.file.safeParse(parsed)
  if (!file.success) throw new UnavailableError(sayForm(parsed))
  return new Map(
    Object.entries(file.data.apps).map(([appId, value]) => {
      if (!isAppId(appId)) throw new UnavailableError('a name in `apps` cannot be the id of an app')
      return [appId, parseRecord(appId, app.safeParse(value))]
    }),
  )
}

/** What is wrong with a document that is not a file of this store: often it is a single policy. */
function sayForm(parsed: unknown): string {
  const isPolicy = isObject(parsed) && 'appId' in parsed
  return isPolicy ? `it is a single policy: ${FORM}` : `it is not a policy file: ${FORM}`
}

const FORM =
  'write `{ "apps": { "APP": { "policy": … } } }`, with an entry for each app id, and no other member than `apps`'

function parseRecord(
  appId: string,
  result: ReturnType<ReturnType<typeof makeSchemas>['app']['safeParse']>,
): FileRecord {
  if (!result.success) {
    const path = ['apps', appId, ...(result.error.issues[0]?.path ?? [])].map(String).join('.')
    throw new UnavailableError(`\`${path}\` has the wrong type, or a missing or unknown member`)
  }
  const { revision = 1, policy, keys, history = [] } = result.data
  if (isObject(policy) && 'appId' in policy && policy.appId !== appId)
    throw new UnavailableError(`\`apps.${appId}.policy.appId\` is the id of another app`)
  deepFreeze(policy)
  return {
    revision,
    // The policy may be invalid. Nothing in a store relies on it.
    app: policy === undefined ? undefined : { policy: policy as Policy, keys: [] },
    sealedKeys: keys,
    history: history.map(({ policy, keysChanged = false, ...entry }) =>
      Object.freeze({ ...entry, policy: deepFreeze(policy), keysChanged }),
    ),
  }
}

/** The text of a file, in a stable order and with one line for each value, so that one change makes a small diff. */
export function formatFile(records: FileRecords): string {
  const apps = [...records].map(([appId, { revision, app, sealedKeys, history }]) => {
    const entries = history.map(({ keysChanged, ...entry }) => ({
      ...entry,
      keysChanged: keysChanged || undefined,
    }))
    const value = {
      revision: revision === 1 ? undefined : revision,
      policy: app?.policy,
      keys: sealedKeys,
      history: entries.length === 0 ? undefined : entries,
    }
    return [appId, value] as const
  })
  apps.sort(([one], [other]) => (one < other ? -1 : 1))
  return `${JSON.stringify({ apps: Object.fromEntries(apps) }, null, 2)}\n`
}

/** Author and note as stored in a file: sealed if there is a vault. */
export function noteInFile(sealing: Sealing, name: string, note: ChangeNote): SealedNote {
  const by = sealing.sealNote(name, note)
  return by === undefined ? note : { by }
}

/** @throws UnreadableError */
export function noteFromFile(sealing: Sealing, name: string, { by, ...note }: SealedNote): ChangeNote {
  return by === undefined ? note : { ...note, ...sealing.openNote(name, by) }
}

/** @throws UnreadableError */
export function revisionFromFile(sealing: Sealing, appId: string, revision: AppRevision): AppRevision {
  const { by, ...entry }: FileRevision = revision
  return by === undefined ? entry : { ...entry, ...sealing.openNote(appId, by) }
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new UnavailableError('it is not UTF-8')
  }
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The parser's own message quotes the file.
    throw new UnavailableError(`it is not JSON: ${sayJsonFault(text)}`)
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Iterative, because a document may be nested more deeply than the stack allows. */
function deepFreeze(value: unknown): unknown {
  const found = [value]
  for (const one of found) {
    if (typeof one !== 'object' || one === null) continue
    for (const member of Object.values(Object.freeze(one))) found.push(member)
  }
  return value
}
