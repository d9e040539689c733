import { randomBytes } from 'node:crypto'
import * as z from 'zod/mini'
import { isKeyId, NAME_RULE } from '../../names.ts'
import { parseInstant } from '../../instant.ts'
import type { ListedKey } from '../../store/contract.ts'
import { changeKeys, type KeyChanges } from '../../store/key-changes.ts'
import type { KeysView, KeyView, NewKey } from '../contract.ts'
import { afterwards, findApp, type Desk } from '../desk.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Exchange, type Route } from '../route.ts'

/** How long an ended key can be restored, in milliseconds. */
const RESTORABLE = 7 * 86_400_000
/** How long an old key may stay valid next to a new one, in milliseconds. */
const LONGEST_OVERLAP = 90 * 86_400_000

export function keyRoutes(desk: Desk): Route[] {
  const path = '/apps/:appId/keys'
  const access = ['keys'] as const
  return [
    route({
      method: 'GET',
      path,
      access: ['look'],
      summary: 'The keys of an app without their secrets.',
      handle: async ({ params: { appId = '' } }) => ({ body: await viewKeys(desk, appId) }),
    }),
    route<{ id: string }>({
      method: 'POST',
      path,
      access,
      summary: 'Creates a key. Its secret is in the answer, and is never shown again.',
      body: () => z.strictObject({ id: z.string() }),
      handle: ({ params: { appId = '' }, body, session }) =>
        addKey(desk, appId, body.id, { author: session.name }),
    }),
    route<{ id: string; overlap: number }>({
      method: 'POST',
      path: `${path}/:keyId/rotation`,
      access,
      summary: 'Creates a new key, and keeps the old one valid for `overlap` milliseconds.',
      body: () =>
        z.strictObject({ id: z.string(), overlap: z.int().check(z.gte(0), z.lte(LONGEST_OVERLAP)) }),
      handle: (exchange) => rotate(desk, exchange),
    }),
    route<{ leaked: boolean }>({
      method: 'POST',
      path: `${path}/:keyId/revocation`,
      access,
      summary:
        'Revokes a key at once. It can be restored for seven days. The secret of a leaked key is destroyed at once.',
      body: () => z.strictObject({ leaked: z.boolean() }),
      async handle({ params: { appId = '', keyId = '' }, body: { leaked }, session }) {
        const key = await keyOf(desk, appId, keyId)
        const end = new Date(desk.now()).toISOString()
        const start = parseInstant(key.notBefore) ?? 0
        const gone = leaked || start >= desk.now()
        return change(desk, appId, {
          author: session.name,
          note: leaked ? `keys: destroy ${keyId}, which has leaked` : `keys: revoke ${keyId}`,
          ...(gone ? { revoke: [keyId] } : { limit: [{ id: keyId, notAfter: end }] }),
        })
      },
    }),
    route({
      method: 'POST',
      path: `${path}/:keyId/restoration`,
      access,
      summary: 'Restores a key that ended less than seven days ago.',
      async handle({ params: { appId = '', keyId = '' }, session }) {
        const { state, restorableUntil } = viewKey(await keyOf(desk, appId, keyId), desk.now())
        if (state === 'ended' && restorableUntil === undefined) throw new ConsoleProblem('NOT_RESTORABLE')
        return change(desk, appId, {
          author: session.name,
          note: `keys: restore ${keyId}`,
          limit: [{ id: keyId, notAfter: null }],
        })
      },
    }),
    route({
      method: 'DELETE',
      path: `${path}/:keyId`,
      access,
      summary: 'Destroys a key with its secret.',
      async handle({ params: { appId = '', keyId = '' }, session }) {
        await keyOf(desk, appId, keyId)
        return change(desk, appId, { author: session.name, note: `keys: destroy ${keyId}`, revoke: [keyId] })
      },
    }),
  ]
}

async function viewKeys(desk: Desk, appId: string): Promise<KeysView> {
  await findApp(desk, appId)
  const keys = (await desk.store.keys(appId)) ?? []
  return { keys: keys.map((key) => viewKey(key, desk.now())) }
}

function viewKey(key: ListedKey, now: number): KeyView {
  const { id, algorithm, notBefore, notAfter, lastUsed } = key
  const [start, end] = [parseInstant(notBefore), parseInstant(notAfter)]
  const state =
    end !== undefined && end <= now
      ? 'ended'
      : start !== undefined && start > now
        ? 'not yet'
        : end === undefined
          ? 'active'
          : 'ending'
  const until = state === 'ended' && end !== undefined ? end + RESTORABLE : 0
  return {
    id,
    algorithm,
    notBefore,
    notAfter,
    lastUsed,
    state,
    ...(until > now && { restorableUntil: new Date(until).toISOString() }),
  }
}

async function keyOf(desk: Desk, appId: string, keyId: string): Promise<ListedKey> {
  const key = (await desk.store.keys(appId))?.find(({ id }) => id === keyId)
  if (key === undefined) throw new ConsoleProblem('NOT_FOUND', { detail: 'the app has no key with this id' })
  return key
}

async function addKey(
  desk: Desk,
  appId: string,
  id: string,
  { limit, author }: Pick<KeyChanges, 'limit' | 'author'>,
): ReturnType<Route['handle']> {
  if (!isKeyId(id))
    throw new ConsoleProblem('DOCUMENT_REFUSED', { issues: [{ path: 'id', message: NAME_RULE }] })
  await findApp(desk, appId)
  const secret = randomBytes(32).toString('base64')
  const add = [{ id, algorithm: 'hmac-sha256', secret } as const]
  await changeKeys(desk.store, appId, {
    add,
    author,
    ...(limit && { limit }),
    ...overdue(await listed(desk, appId), desk.now()),
  })
  const body: NewKey = { ...(await afterwards(desk, () => viewKeys(desk, appId))), id, secret }
  return { status: 201, body }
}

async function rotate(
  desk: Desk,
  { params, body: { id, overlap }, session }: Exchange<{ id: string; overlap: number }>,
): ReturnType<Route['handle']> {
  const { appId = '', keyId = '' } = params
  const { state, notAfter } = viewKey(await keyOf(desk, appId, keyId), desk.now())
  // A rotation only shortens: it neither reopens an ended key nor extends one that ends earlier.
  if (state === 'ended') return addKey(desk, appId, id, { author: session.name })
  const end = Math.min(desk.now() + overlap, parseInstant(notAfter) ?? Infinity)
  const limit = [{ id: keyId, notAfter: new Date(end).toISOString() }]
  return addKey(desk, appId, id, { author: session.name, limit })
}

async function change(desk: Desk, appId: string, changes: KeyChanges): ReturnType<Route['handle']> {
  const { revoke = [] } = overdue(await listed(desk, appId), desk.now())
  const named = new Set([...(changes.revoke ?? []), ...(changes.limit ?? []).map(({ id }) => id)])
  const more = revoke.filter((id) => !named.has(id))
  await changeKeys(desk.store, appId, { ...changes, revoke: [...(changes.revoke ?? []), ...more] })
  return { body: await afterwards(desk, () => viewKeys(desk, appId)) }
}

const listed = async (desk: Desk, appId: string): Promise<readonly ListedKey[]> =>
  (await desk.store.keys(appId)) ?? []

/** Keys that can no longer be restored. Their secrets are destroyed with the next change. */
function overdue(keys: readonly ListedKey[], now: number): Pick<KeyChanges, 'revoke'> {
  return {
    revoke: keys
      .map((key) => viewKey(key, now))
      .filter(({ state, restorableUntil }) => state === 'ended' && restorableUntil === undefined)
      .map(({ id }) => id),
  }
}
