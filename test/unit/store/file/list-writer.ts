import { isPortcullisError } from '../../../../src/errors.ts'
import { fileStore } from '../../../../src/store/file/store.ts'

/**
 * A process that writes a list repeatedly, and prints each revision that it gets. Arguments: `<path> <name> <times>`.
 */
const [path = '', name = '', times = ''] = process.argv.slice(2)
const store = fileStore(path)
// The watch is never stopped, because it must not keep the process alive.
store.watch?.({ changed: () => undefined, broken: () => undefined, restored: () => undefined })
const entries = Array.from({ length: 3_000 }, (_, index) => ({ range: `10.0.${index >> 8}.${index & 255}` }))

for (let written = 0; written < Number(times);) {
  const revision = (await store.readList(name))?.revision ?? 0
  try {
    process.stdout.write(
      `${await store.writeList(name, entries, revision, { author: String(process.pid) })}\n`,
    )
    written += 1
  } catch (error) {
    if (!isPortcullisError(error) || error.code !== 'REVISION_CONFLICT') throw error
  }
}
