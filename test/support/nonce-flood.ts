/**
 * A process that claims 300,000 nonces for apps whose keys leaked, and says how many were remembered. Run with how many
 * may be at most, in a heap that holds far fewer.
 */
import { memoryNonces } from 'portcullis'

const max = Number(process.argv[2])
const nonces = memoryNonces({ max, maxPerApp: Math.ceil(max / 2) })
const until = Date.now() + 600_000
let remembered = 0
for (let count = 0; count < 300_000; count += 1) {
  try {
    nonces.claim(`app-${count % 7}`, `key-1/nonce-of-a-common-length-${count}`, until)
    remembered += 1
  } catch {
    // There is no room.
  }
}
console.log(remembered)
