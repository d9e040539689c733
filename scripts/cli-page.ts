// Writes docs/cli.md from the table of commands: `npm run docs:cli`. A test checks that the page is up to date.
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { commandPages, MARK } from './cli-reference.ts'

const path = join(dirname(dirname(fileURLToPath(import.meta.url))), 'docs', 'cli.md')
const [introduction = ''] = (await readFile(path, 'utf8')).split(MARK)
await writeFile(path, `${introduction}${MARK}\n\n${commandPages()}`)
