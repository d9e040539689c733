/**
 * A process that claims 300,000 nonces for apps whose keys leaked, and reports how many were stored. Its argument is
 * the maximum. Its heap has space for far fewer.
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
    // The store is full.
  }
}
console.log(remembered)
