import { randomBytes } from 'node:crypto'
import { createFieldVault, createVault, memoryPeople, type FieldVault } from '../../../src/vault/index.ts'

export interface SwapTotals {
  /** The number of attempts of each kind. */
  readonly tries: Readonly<Record<string, number>>
  /** The number of refusals by reason. */
  readonly reasons: Readonly<Record<string, number>>
  /** Values that opened, or failed without a reason. Must be empty. */
  readonly wrong: readonly string[]
  /** The number of values that opened in their own place. */
  readonly right: number
}

const FIELDS = ['email', 'firstname', 'surname', 'country'] as const
const PEOPLE = 50

/**
 * Seals values of many people and moves them to wrong places, `tries` times, in every way of {@link SWAPS}. It is a
 * fault if a value opens, or if the failure is not a `SealedError` with a reason.
 */
export async function swapSealed(tries: number, random: () => number): Promise<SwapTotals> {
  const vault = createVault({ keys: [{ id: 'region', key: randomBytes(32) }] })
  const people = memoryPeople()
  const make = (place: object, other: object = {}): FieldVault =>
    createFieldVault({ vault, people, region: 'europe', tenant: 'shop', model: 'person', ...place, ...other })
  const vaults = {
    own: make({}),
    model: make({ model: 'staff' }),
    tenant: make({ tenant: 'bank' }),
    region: make({ region: 'world' }),
    key: make({ vault: createVault({ keys: [{ id: 'region', key: randomBytes(32) }] }) }),
  }
  const pick = (from: number): number => Math.floor(random() * from)
  const [counts, reasons, wrong] = [new Map<string, number>(), new Map<string, number>(), [] as string[]]
  let right = 0
  for (const each of [vaults.tenant, vaults.region])
    for (let at = 0; at < PEOPLE; at += 1) await each.seal(`p${at}`, 'email', 'x')

  for (let attempt = 0; attempt < tries; attempt += 1) {
    const [person, field] = [`p${pick(PEOPLE)}`, FIELDS[pick(FIELDS.length)] ?? 'email']
    const other = `p${(Number(person.slice(1)) + 1 + pick(PEOPLE - 1)) % PEOPLE}`
    const value = randomBytes(pick(64)).toString('latin1')
    const [sealed, foreign] = await Promise.all([
      vaults.own.seal(person, field, value),
      vaults.own.seal(other, field, value),
    ])
    if ((await vaults.own.open(person, field, sealed)) === value) right += 1
    else wrong.push(`${person}.${field} opened as something else`)
    const kind = SWAPS[attempt % SWAPS.length] ?? ''
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    const opening = ATTEMPTS[kind]?.({ vaults, person, other, field, sealed, foreign, pick })
    const reason = await Promise.resolve(opening).then(
      () => 'opened',
      (error: unknown) => (error as { reason?: string }).reason ?? `failed: ${String(error)}`,
    )
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    if (!reason.startsWith('SEALED_')) wrong.push(`${kind}: ${reason}`)
  }
  return { tries: Object.fromEntries(counts), reasons: Object.fromEntries(reasons), wrong, right }
}

interface Setting {
  readonly vaults: Readonly<Record<'own' | 'model' | 'tenant' | 'region' | 'key', FieldVault>>
  readonly person: string
  readonly other: string
  readonly field: string
  readonly sealed: string
  readonly foreign: string
  pick(from: number): number
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64url')

function open({ vaults, person, field }: Setting, bytes: Buffer): Promise<string> {
  return vaults.own.open(person, field, bytes.toString('base64url'))
}

/** The kinds of attempts. */
const ATTEMPTS: Readonly<Record<string, (setting: Setting) => Promise<string>>> = {
  'another person': ({ vaults, other, field, sealed }) => vaults.own.open(other, field, sealed),
  'another field': ({ vaults, person, field, sealed }) =>
    vaults.own.open(person, field === 'email' ? 'surname' : 'email', sealed),
  'another model': ({ vaults, person, field, sealed }) => vaults.model.open(person, field, sealed),
  'another tenant': ({ vaults, person, field, sealed }) => vaults.tenant.open(person, field, sealed),
  'another region': ({ vaults, person, field, sealed }) => vaults.region.open(person, field, sealed),
  'the ciphertext of another with the own head': (setting) => {
    const { sealed, foreign } = setting
    return open(setting, Buffer.concat([bytesOf(sealed).subarray(0, 5), bytesOf(foreign).subarray(5)]))
  },
  'the tag of another': (setting) => {
    const { sealed, foreign } = setting
    return open(setting, Buffer.concat([bytesOf(sealed).subarray(0, -16), bytesOf(foreign).subarray(-16)]))
  },
  'a changed bit': (setting) => {
    const bytes = bytesOf(setting.sealed)
    const at = setting.pick(bytes.length * 8)
    bytes.writeUInt8(bytes.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3)
    return open(setting, bytes)
  },
  'a cut end': ({ vaults, person, field, sealed, pick }) =>
    vaults.own.open(person, field, sealed.slice(0, pick(sealed.length))),
  'a longer end': (setting) =>
    open(setting, Buffer.concat([bytesOf(setting.sealed), randomBytes(1 + setting.pick(8))])),
  'another key of the region': ({ vaults, person, field, sealed }) => vaults.key.open(person, field, sealed),
}

export const SWAPS: readonly string[] = Object.keys(ATTEMPTS)
