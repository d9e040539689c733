import { isPortcullisError } from '../../../../src/errors.ts'
import { fileStore } from '../../../../src/store/file/store.ts'

/**
 * A process that writes an app repeatedly, and prints each revision that it gets. Arguments: `<path> <appId> <times>`.
 */
const [path = '', appId = '', times = ''] = process.argv.slice(2)
const store = fileStore(path)
// The watch is never stopped, because it must not keep the process alive.
store.watch?.({ changed: () => undefined, broken: () => undefined, restored: () => undefined })
const note = { author: String(process.pid), note: 'x'.repeat(1_000) }

for (let written = 0; written < Number(times);) {
  const revision = (await store.read(appId))?.revision ?? 0
  try {
    process.stdout.write(`${await store.write({ policy: { appId } }, revision, note)}\n`)
    written += 1
  } catch (error) {
    if (!isPortcullisError(error) || error.code !== 'REVISION_CONFLICT') throw error
  }
}
