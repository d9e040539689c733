import { createPublicKey, randomBytes } from 'node:crypto'
import type { AppKey } from '../../signature/keys.ts'
import { changeKeys } from '../../store/key-changes.ts'
import { CommandUsageError, EXIT, isSet, textOf, type Invocation } from '../command.ts'
import { instantOf, lengthOf } from '../duration.ts'
import { confirm, readSecret, readSource } from '../input.ts'
import { isJson, show, tell } from '../output.ts'
import { VAULT_MISSING } from '../secrets.ts'
import { noteOf, readApp, withStore } from '../store.ts'

/** The secret or public key of a new key. */
async function materialOf(
  invocation: Invocation,
): Promise<Pick<AppKey, 'algorithm' | 'secret'> & { readonly isMadeHere: boolean }> {
  const { values } = invocation
  const [secretFile, publicFile] = [textOf(values, 'secret-file'), textOf(values, 'public-key-file')]
  const fromEnv = isSet(values, 'from-env')
  if ([secretFile !== undefined, publicFile !== undefined, fromEnv].filter(Boolean).length > 1)
    throw new CommandUsageError('give only one of `--secret-file`, `--from-env` and `--public-key-file`')
  if (publicFile !== undefined) {
    const text = await readSource(invocation, publicFile)
    return { algorithm: 'ed25519', secret: publicKeyOf(text.trim(), publicFile), isMadeHere: false }
  }
  if (secretFile === undefined && !fromEnv)
    return { algorithm: 'hmac-sha256', secret: randomBytes(32).toString('base64'), isMadeHere: true }
  const secret = await readSecret(invocation, secretFile, 'PORTCULLIS_APP_SECRET')
  if (secret === undefined)
    throw new CommandUsageError(
      fromEnv
        ? 'PORTCULLIS_APP_SECRET is not set'
        : `\`${secretFile ?? ''}\` is empty: it must contain a secret`,
    )
  return { algorithm: 'hmac-sha256', secret, isMadeHere: false }
}

/** The raw 32 bytes of an Ed25519 public key in base64, from PEM or from base64. A private key is refused. */
function publicKeyOf(text: string, path: string): string {
  if (!text.includes('-----BEGIN')) return text
  if (text.includes('PRIVATE KEY'))
    throw new CommandUsageError(
      `\`${path}\` contains a private key, which must stay with the app: extract the public key with \`openssl pkey -in ${path} -pubout\``,
    )
  try {
    const { kty, crv, x = '' } = createPublicKey(text).export({ format: 'jwk' })
    if (kty === 'OKP' && crv === 'Ed25519') return Buffer.from(x, 'base64url').toString('base64')
  } catch {
    // Reported below.
  }
  throw new CommandUsageError(`\`${path}\` must contain an Ed25519 public key`)
}

function limitsOf({ values }: Invocation): Pick<AppKey, 'notBefore' | 'notAfter'> {
  const notBefore = instantOf(values, 'not-before')
  const validFor = lengthOf(values, 'valid-for')
  const notAfter = instantOf(values, 'not-after')
  if (validFor !== undefined && notAfter !== undefined)
    throw new CommandUsageError('give only one of `--not-after` and `--valid-for`')
  const start = notBefore === undefined ? Date.now() : Date.parse(notBefore)
  const end = validFor === undefined ? notAfter : new Date(start + validFor).toISOString()
  return { ...(notBefore !== undefined && { notBefore }), ...(end !== undefined && { notAfter: end }) }
}

export const createKey = withStore(async (invocation, { store, vault }) => {
  const { values, positionals, out } = invocation
  const [appId = ''] = positionals
  if (vault === undefined) throw new CommandUsageError(VAULT_MISSING)
  const limits = limitsOf(invocation)
  const { keys } = await readApp(store, appId)
  const { isMadeHere, ...material } = await materialOf(invocation)
  const key: AppKey = { id: textOf(values, 'id') ?? freeId(appId, keys), ...material, ...limits }
  const revision = await changeKeys(store, appId, { add: [key], ...noteOf(invocation) })
  const { id, algorithm, secret, notBefore, notAfter } = key
  const shown = isMadeHere ? { secret } : {}
  if (isJson(invocation)) {
    await show(invocation, [], { appId, id, algorithm, notBefore, notAfter, revision, ...shown })
    return EXIT.ok
  }
  if (isSet(values, 'as-env'))
    await out(`APP_ID=${appId}\nKEY_ID=${id}\n${isMadeHere ? `APP_SECRET=${secret}\n` : ''}`)
  else await out(isMadeHere ? `${secret}\n` : `${id}\n`)
  const until = notAfter === undefined ? '' : `, until ${notAfter}`
  tell(invocation, `created the key \`${id}\` for the app \`${appId}\` (${algorithm}${until})`)
  if (isMadeHere) tell(invocation, 'this secret is shown only once: store it where only the app can read it')
  return EXIT.ok
})

/** The app id and the first free number, such as `shop-1`. */
function freeId(appId: string, keys: readonly AppKey[]): string {
  const taken = new Set(keys.map(({ id }) => id))
  const start = appId.slice(0, 120)
  let number = keys.length + 1
  while (taken.has(`${start}-${number}`)) number += 1
  return `${start}-${number}`
}

const WEEK = 7 * 86_400_000

export const retireKey = withStore(async (invocation, { store }) => {
  const { values, positionals } = invocation
  const [appId = '', id = ''] = positionals
  const [at, after] = [instantOf(values, 'at'), lengthOf(values, 'in')]
  if (at !== undefined && after !== undefined)
    throw new CommandUsageError('give only one of `--at` and `--in`')
  await readApp(store, appId)
  const notAfter = at ?? new Date(Date.now() + (after ?? WEEK)).toISOString()
  const revision = await changeKeys(store, appId, { limit: [{ id, notAfter }], ...noteOf(invocation) })
  await show(invocation, [`${id} expires at ${notAfter}`], { appId, id, notAfter, revision })
  return EXIT.ok
})

export const revokeKey = withStore(async (invocation, { store }) => {
  const [appId = '', id = ''] = invocation.positionals
  await readApp(store, appId)
  const isSure = await confirm(invocation, `Requests signed with \`${id}\` will be refused at once.`, id)
  if (!isSure) return EXIT.no
  const revision = await changeKeys(store, appId, { revoke: [id], ...noteOf(invocation) })
  await show(invocation, [`revoked ${id}`], { appId, id, revoked: true, revision })
  return EXIT.ok
})
