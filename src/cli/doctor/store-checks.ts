import { isPortcullisError } from '../../errors.ts'
import { lintPolicy } from '../../policy/lint.ts'
import { fail, pass, skip, warn, type Check, type Finding } from '../checks.ts'
import { CommandDeniedError, CommandUsageError, textOf, type Invocation } from '../command.ts'
import { counted } from '../output.ts'
import { pageText } from '../pages.ts'
import { openStore, type OpenedStore } from '../store.ts'
import { redisChecks, REDIS_IDS } from './redis-checks.ts'

const IDS = ['store', 'vault', 'policies', 'keys'] as const

/** The checks of the store, and of its server if the store is in Redis. */
export async function storeChecks(invocation: Invocation): Promise<readonly Check[]> {
  const skipped = (reason: string): Check[] => [...IDS, ...REDIS_IDS].map((id) => ({ id, ...skip(reason) }))
  const { values, env } = invocation
  const isNamed =
    ['store', 'redis', 'redis-url-file'].some((name) => textOf(values, name) !== undefined) ||
    ['PORTCULLIS_STORE', 'PORTCULLIS_REDIS_URL', 'REDIS_URL'].some((name) => (env[name] ?? '') !== '')
  if (!isNamed) return skipped('give `--store` or `--redis`')
  let opened: OpenedStore
  try {
    opened = await openStore(invocation)
  } catch (error) {
    if (error instanceof CommandUsageError) throw error
    const isDenied = error instanceof CommandDeniedError
    const fix = isDenied
      ? 'give credentials that the server accepts'
      : 'check that it is running and reachable from here'
    const [, ...rest] = skipped('the store cannot be reached')
    return [{ id: 'store', ...fail((error as Error).message, fix) }, ...rest]
  }
  try {
    const { redis } = opened
    return [
      ...(await appChecks(opened)),
      ...(redis === undefined
        ? REDIS_IDS.map((id): Check => ({ id, ...skip('the store is not Redis') }))
        : await redisChecks(redis, textOf(values, 'prefix'))),
    ]
  } finally {
    opened.close()
  }
}

const FORTNIGHT = 14 * 86_400_000

async function appChecks({ store, place, vault }: OpenedStore): Promise<Check[]> {
  const found = {
    apps: 0,
    bad: [] as string[],
    dangerous: [] as string[],
    sealed: 0,
    ending: [] as string[],
    ended: 0,
  }
  try {
    let after: string | undefined
    do {
      const page = await store.list({ after, limit: 200 })
      for (const { appId, policy } of page.apps) {
        found.apps += 1
        const findings = findingsOf(policy)
        if (findings === undefined) found.bad.push(appId)
        else if (findings.some(({ severity }) => severity === 'danger')) found.dangerous.push(appId)
        await lookAtKeys(store, appId, found)
      }
      after = page.next
    } while (after !== undefined)
  } catch (error) {
    const isDenied = /NOPERM|EACCES|EPERM/.test((error as Error).message)
    const fix = isDenied
      ? `give the user the permissions listed in ${pageText('docs/redis.md')}`
      : 'check that it is running and reachable from here'
    return [
      { id: 'store', ...fail((error as Error).message, fix) },
      ...IDS.slice(1).map((id): Check => ({ id, ...skip('the store cannot be read') })),
    ]
  }
  return [
    { id: 'store', ...pass(`${place} has ${counted(found.apps, 'app')}`) },
    { id: 'vault', ...judgeVault(vault !== undefined, found.sealed) },
    { id: 'policies', ...judgePolicies(found) },
    { id: 'keys', ...judgeKeys(found) },
  ]
}

function findingsOf(policy: unknown): ReturnType<typeof lintPolicy> | undefined {
  try {
    return lintPolicy(policy)
  } catch {
    return undefined
  }
}

async function lookAtKeys(
  store: OpenedStore['store'],
  appId: string,
  found: { sealed: number; ending: string[]; ended: number },
): Promise<void> {
  try {
    for (const { id, notAfter } of (await store.keys(appId)) ?? []) {
      if (notAfter === undefined) continue
      const left = Date.parse(notAfter) - Date.now()
      if (left < 0) found.ended += 1
      else if (left < FORTNIGHT) found.ending.push(`${appId}/${id}`)
    }
  } catch (error) {
    if (!isPortcullisError(error) || error.code !== 'UNAVAILABLE') throw error
    found.sealed += 1
  }
}

function judgeVault(isThere: boolean, sealed: number): Finding {
  if (sealed > 0)
    return fail(
      `the keys of ${counted(sealed, 'app')} cannot be decrypted ${isThere ? 'with this vault key' : 'without a vault key'}`,
      'set PORTCULLIS_VAULT_KEY to the key that your servers use',
    )
  if (isThere) return pass('every stored key can be decrypted')
  return skip('PORTCULLIS_VAULT_KEY is not set, and no app has keys')
}

function judgePolicies({
  bad,
  dangerous,
}: {
  readonly bad: string[]
  readonly dangerous: string[]
}): Finding {
  if (bad.length > 0)
    return fail(
      `${counted(bad.length, 'policy', 'policies')} would be refused: ${bad.slice(0, 5).join(', ')}`,
      'run `npx portcullis policy get` and `npx portcullis policy validate`',
    )
  if (dangerous.length > 0)
    return warn(
      `${counted(dangerous.length, 'policy', 'policies')} with findings of severity danger: ${dangerous.slice(0, 5).join(', ')}`,
      'run `npx portcullis policy lint`',
    )
  return pass('every policy is valid, and no finding has the severity danger')
}

function judgeKeys({
  ending,
  ended,
  sealed,
}: {
  readonly ending: string[]
  readonly ended: number
  readonly sealed: number
}): Finding {
  if (sealed > 0) return skip('not all keys can be decrypted')
  if (ending.length > 0)
    return warn(
      `${counted(ending.length, 'key')} will expire within 14 days: ${ending.slice(0, 5).join(', ')}`,
      'create a new key with `npx portcullis key create`',
      'docs/key-rotation.md',
    )
  return pass(
    ended === 0
      ? 'no key expires within 14 days'
      : `no key expires within 14 days; ${counted(ended, 'expired key')} can be revoked`,
  )
}
