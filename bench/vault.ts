/**
 * Measures sealed fields, compared with bare AES-256-GCM of `node:crypto` with the same value and the same additional
 * data. Run it with `npm run bench:vault`; `-- --rounds 51` makes fewer rounds. Exits with 1 if the target is missed.
 *
 * All operations take turns, with new values. Results are medians of the rounds, in CPU time.
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { createFieldVault, createVault, memoryPeople } from '../src/vault/index.ts'
import { atMost, header, line, median, told, type Row } from './store/table.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '301' } } })
const ROUNDS = Number(values.rounds)
const SIZE = 200
const WARM_UP = 50
/** The limit for a field, relative to the bare cipher. It includes the bound names, base64url and a promise. */
const TARGET = 2.5

const vault = createVault({ keys: [{ id: 'region', key: randomBytes(32) }] })
const indexVault = createVault({ keys: [{ id: 'index', key: randomBytes(32) }] })
const fields = createFieldVault({
  vault,
  indexVault,
  people: memoryPeople(),
  region: 'europe',
  tenant: 'shop',
  indexes: { email: { match: 'email', unique: true } },
})
const key = createSecretKey(randomBytes(32))
const additional = Buffer.from('portcullis field 00000["europe","shop","person","email","person-17"]')

interface Sample {
  readonly value: string
  readonly bare: { readonly nonce: Buffer; readonly content: Buffer; readonly tag: Buffer }
  readonly field: string
  readonly text: string
}

function encryptBare(value: string): Sample['bare'] {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(additional)
  const content = Buffer.concat([cipher.update(value, 'utf8'), cipher.final()])
  return { nonce, content, tag: cipher.getAuthTag() }
}

function decryptBare({ nonce, content, tag }: Sample['bare']): string {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce)
  decipher.setAAD(additional)
  decipher.setAuthTag(tag)
  return decipher.update(content, undefined, 'utf8') + decipher.final('utf8')
}

async function sample(): Promise<Sample> {
  const value = `${randomBytes(12).toString('hex')}@example.org`
  return {
    value,
    bare: encryptBare(value),
    field: await fields.seal('person-17', 'email', value),
    text: vault.seal(value, 'context'),
  }
}

const work: Record<string, (given: Sample) => unknown> = {
  'bare GCM: encrypt': ({ value }) => encryptBare(value),
  'a field: seal': ({ value }) => fields.seal('person-17', 'email', value),
  'a text of createVault: seal': ({ value }) => vault.seal(value, 'context'),
  'bare GCM: decrypt': ({ bare }) => decryptBare(bare),
  'a field: open': ({ field }) => fields.open('person-17', 'email', field),
  'a text of createVault: open': ({ text }) => vault.open(text, 'context'),
  'a blind index': ({ value }) => fields.index('email', value),
}

const spent = new Map(Object.keys(work).map((name): [string, number[]] => [name, []]))
for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
  const samples = await Promise.all(Array.from({ length: SIZE }, sample))
  for (const [name, act] of Object.entries(work)) {
    const begun = process.cpuUsage()
    for (const given of samples) await act(given)
    const { user, system } = process.cpuUsage(begun)
    if (round >= WARM_UP) spent.get(name)?.push((user + system) / SIZE)
  }
}

const of = (name: string): number => median(spent.get(name) ?? [])
const ratio = (what: string, yardstick: string): number => of(what) / of(yardstick)
const [SEAL, OPEN] = ['bare GCM: encrypt', 'bare GCM: decrypt'] as const
const rows: Row[] = [
  told(SEAL, `${of(SEAL).toFixed(2)} us`),
  atMost('a field: seal, relative to it (D2)', ratio('a field: seal', SEAL), TARGET, '', 2),
  told('a text of createVault: seal, relative to it', ratio('a text of createVault: seal', SEAL).toFixed(2)),
  told(OPEN, `${of(OPEN).toFixed(2)} us`),
  atMost('a field: open, relative to it (D2)', ratio('a field: open', OPEN), TARGET, '', 2),
  told('a text of createVault: open, relative to it', ratio('a text of createVault: open', OPEN).toFixed(2)),
  told('a blind index, relative to encrypting', ratio('a blind index', SEAL).toFixed(2)),
]
console.log(`Node ${process.version}, medians of ${ROUNDS} rounds of ${SIZE} values\n\n${header}`)
for (const row of rows) console.log(line(row))
process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
