/**
 * Tests two promises of the vault: a sealed value can be opened only in its own place, and a key rotation loses no
 * data.
 *
 * `npm run proof:vault -- --tries 100000 --people 100000 --kills 200 --seed 1` takes a few minutes. Exits with 1 if a
 * promise is broken.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { startRedis } from '../../test/support/redis.ts'
import { seededRandom } from '../../test/support/seeded.ts'
import { rotate } from '../../test/support/vault/rotation.ts'
import { swapSealed } from '../../test/support/vault/swaps.ts'

const { values } = parseArgs({
  options: {
    tries: { type: 'string', default: '100000' },
    people: { type: 'string', default: '100000' },
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  },
})
const seed = Number(values.seed)
console.log(`${new Date().toISOString()} on Node ${process.versions.node}, seed ${seed}`)

const swaps = await swapSealed(Number(values.tries), seededRandom(seed))
console.log('swapped, changed, cut off:', JSON.stringify(swaps.tries))
console.log('refused by:', JSON.stringify(swaps.reasons))
console.log(`opened where they belong: ${swaps.right}; wrong: ${swaps.wrong.length}`, swaps.wrong.slice(0, 5))

// Each change is on disk before it is acknowledged, because Redis is killed too.
const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
const keys = { a: randomBytes(32).toString('base64'), b: randomBytes(32).toString('base64') }
const rotation = await rotate(
  { url: redis.url, prefix: 'proof:', keys },
  {
    people: Number(values.people),
    kills: Number(values.kills),
    random: seededRandom(seed + 1),
    patience: 4_000,
    server: redis,
  },
)
await redis.stop()
console.log('rotation:', JSON.stringify(rotation))
const expected = rotation.people + rotation.came - rotation.erased - rotation.unsure
const holds =
  swaps.wrong.length === 0 &&
  swaps.right === Number(values.tries) &&
  rotation.done &&
  rotation.lost === 0 &&
  rotation.failed === 0 &&
  rotation.risen === 0 &&
  rotation.opened === expected
console.log(holds ? 'both promises hold' : 'A PROMISE DOES NOT HOLD')
process.exitCode = holds ? 0 : 1
