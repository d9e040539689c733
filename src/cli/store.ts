import { mkdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { didYouMean } from '../did-you-mean.ts'
import type { ManagedPolicyStore, StoredApp, WriteCheck } from '../store/contract.ts'
import { fileStore } from '../store/file/store.ts'
import type { ListStore } from '../store/list-contract.ts'
import type { ChangeNote } from '../store/change-note.ts'
import type { Vault } from '../vault/vault.ts'
import { nextCommand } from './next-command.ts'
import { openRedis, placeOf, redisUrlOf, type OpenedClient } from './redis.ts'
import { readVault } from './secrets.ts'
import {
  CommandUsageError,
  NotFoundError,
  textOf,
  type ExitCode,
  type Invocation,
  type Run,
} from './command.ts'

/** The methods of a store that commands use. */
export type CommandStore = ManagedPolicyStore & ListStore

export interface OpenedStore {
  readonly store: CommandStore
  /** The place of the store, for people, without a password. */
  readonly place: string
  readonly vault: Vault | undefined
  /** Refuses a policy that fails one of its own expectations. */
  readonly check: WriteCheck
  /** The server, if the store is in Redis. */
  readonly redis?: { readonly client: OpenedClient; readonly url: string } | undefined
  close(): void
}

interface Opening {
  readonly invocation: Invocation
  readonly place: string
  readonly vault: Vault | undefined
  /** Whether to create a store that does not exist. */
  readonly create: boolean
}

/** How to open each kind of store, by the scheme of its place. */
const KINDS: Readonly<Record<string, (opening: Opening) => Promise<OpenedStore>>> = {
  file: openFile,
  redis: openRedisStore,
  rediss: openRedisStore,
}

/** Opens the store given by the options or the environment. */
export async function openStore(invocation: Invocation, create = false): Promise<OpenedStore> {
  const place = await placeFor(invocation)
  const scheme = place.slice(0, place.indexOf(':'))
  const open = Object.hasOwn(KINDS, scheme) ? KINDS[scheme] : undefined
  if (open === undefined)
    throw new CommandUsageError('`--store` must be `file:PATH`, or a URL such as `redis://host:6379`')
  return open({ invocation, place, vault: await readVault(invocation), create })
}

async function placeFor(invocation: Invocation): Promise<string> {
  const { values, env } = invocation
  const [store, redis] = [textOf(values, 'store'), textOf(values, 'redis')]
  const named = [store, redis, textOf(values, 'redis-url-file')].filter((value) => value !== undefined)
  if (named.length > 1)
    throw new CommandUsageError('give only one of `--store`, `--redis` and `--redis-url-file`')
  if (store !== undefined)
    return /^rediss?:/.test(store) ? ((await redisUrlOf(invocation, store)) ?? '') : store
  if (named.length === 0 && (env['PORTCULLIS_STORE'] ?? '') !== '') return env['PORTCULLIS_STORE'] ?? ''
  const url = await redisUrlOf(invocation, redis)
  if (url !== undefined) return url
  throw new CommandUsageError(
    '`--store` is missing: give `--store file:PATH` or `--redis URL`, or set PORTCULLIS_STORE or PORTCULLIS_REDIS_URL',
  )
}

async function openFile({ invocation, place, vault, create }: Opening): Promise<OpenedStore> {
  const given = place.slice('file:'.length)
  if (given === '') throw new CommandUsageError('`--store file:` must be followed by a path')
  const path = resolve(invocation.directory, given)
  await refuseNeighbour(path, given)
  const isDirectory = (await stat(path).catch(() => undefined))?.isDirectory() ?? !given.endsWith('.json')
  const file = isDirectory ? join(path, 'policies.json') : path
  if (create) await mkdir(dirname(file), { recursive: true })
  if (!create && !(await isThere(file)))
    throw new CommandUsageError(
      `there is no store at \`${given}\`: create one with \`${nextCommand(invocation, 'app create APP')}\``,
    )
  const store = fileStore(file, { vault, create })
  return { store, place: `file:${given}`, vault, check: checkBy(store), close: () => store.close() }
}

/** Refuses a missing directory if a file has the same name: probably that file is meant, as `init` writes it. */
async function refuseNeighbour(path: string, given: string): Promise<void> {
  if (/[/\\]$|\.json$/.test(given) || (await isThere(path)) || !(await isThere(`${path}.json`))) return
  throw new CommandUsageError(
    `there is no directory \`${given}\`, but a file \`${given}.json\`: give \`--store file:${given}.json\`, or create the directory for another store`,
  )
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

async function openRedisStore({ invocation, place, vault }: Opening): Promise<OpenedStore> {
  const { redisStore } = await import('../redis/store.ts')
  const redis = await openRedis(place)
  const prefix = textOf(invocation.values, 'prefix')
  const store = redisStore(redis, {
    vault,
    commandTimeout: 10_000,
    ...(prefix === undefined ? {} : { prefix }),
  })
  return {
    store,
    place: placeOf(place),
    vault,
    check: checkBy(store),
    redis: { client: redis, url: place },
    close() {
      store.close()
      redis.disconnect()
    },
  }
}

/** Most policies have no expectations, so the guards are loaded only if one has. */
function checkBy(store: CommandStore): WriteCheck {
  return async (policy) => {
    if (policy.expect === undefined) return
    const { checkExpectations } = await import('../explain/expectations.ts')
    await checkExpectations({ lists: (name) => store.readList(name) })(policy)
  }
}

/** Runs a command with the store, and closes it in any case. */
export function withStore(
  act: (invocation: Invocation, opened: OpenedStore) => Promise<ExitCode>,
  { create = false }: { readonly create?: boolean } = {},
): Run {
  return async (invocation) => {
    const opened = await openStore(invocation, create)
    try {
      return await act(invocation, opened)
    } finally {
      opened.close()
    }
  }
}

/** The app. Rejects if there is no such app. */
export async function readApp(store: CommandStore, appId: string): Promise<StoredApp> {
  const stored = await store.read(appId)
  if (stored !== undefined) return stored
  const { apps } = await store.list({ limit: 1_000 })
  const meant = didYouMean(
    appId,
    apps.map((app) => app.appId),
  )
  throw new NotFoundError(
    `there is no app \`${appId}\`${meant === undefined ? '' : `: did you mean \`${meant}\`?`}`,
  )
}

/** The author and the reason of a change, for the history. */
export function noteOf({ values, env }: Invocation, byDefault?: string): ChangeNote {
  const author = textOf(values, 'author') ?? env['USER'] ?? env['LOGNAME']
  const note = textOf(values, 'note') ?? byDefault
  return { ...(author !== undefined && { author }), ...(note !== undefined && { note }) }
}
