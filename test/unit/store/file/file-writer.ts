import { isPortcullisError } from '../../../../src/errors.ts'
import { fileStore } from '../../../../src/store/file/store.ts'

/** A process that writes an app again and again, and says every revision that it was given: `<path> <appId> <times>`. */
const [path = '', appId = '', times = ''] = process.argv.slice(2)
const store = fileStore(path)
// Nobody leaves: a watched file must not keep a process alive.
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
