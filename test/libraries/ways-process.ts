/**
 * Reads a sealed record in every way of the catalogue, including those of libraries, in a plain Node process. Prints
 * one line of JSON per way. The first argument is the folder of the libraries.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { personalView } from '../../src/audit/personal-view.ts'
import { person, VALUES, ways, waysOfLibraries, type View } from '../unit/audit/ways-to-read.ts'

const load = createRequire(join(String(process.argv[2]), 'package.json'))

for (const [how, read, fields] of [...ways, ...waysOfLibraries(load)]) {
  const reads: string[] = []
  const view: View = personalView(person(), (field) => void reads.push(field))
  let shown = ''
  let error: string | undefined
  try {
    const result = await read(view)
    shown = typeof result === 'string' ? result : inspect(result, { depth: 9, showHidden: true })
  } catch (thrown) {
    error = String(thrown)
  }
  const reported = [...new Set(reads)].toSorted()
  const unreported = Object.entries(VALUES).flatMap(([field, value]) =>
    !reported.includes(field) && shown.includes(value) ? [field] : [],
  )
  console.log(JSON.stringify({ how, expected: [...fields].toSorted(), read: reported, unreported, error }))
}
