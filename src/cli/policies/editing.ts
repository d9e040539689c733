import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isPortcullisError } from '../../errors.ts'
import { sayJsonFault } from '../../json-fault.ts'
import { diffPolicies } from '../../policy/diff.ts'
import { CommandUsageError, EXIT, type Invocation } from '../command.ts'
import { show, tell } from '../output.ts'
import { noteOf, readApp, withStore } from '../store.ts'
import { changeLines } from './change-lines.ts'

export const editPolicy = withStore(async (invocation, { store, check }) => {
  const [appId = ''] = invocation.positionals
  const { policy: before, revision } = await readApp(store, appId)
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-edit-'))
  const file = join(folder, 'policy.json')
  let [text, isKept] = ['', false]
  try {
    await writeFile(file, `${JSON.stringify(before, null, 2)}\n`, { mode: 0o600 })
    await openEditor(invocation, file)
    text = await readFile(file, 'utf8')
    const policy = parsedText(text)
    const changes = diffPolicies(before, policy)
    if (changes.length === 0) {
      await show(invocation, [`${appId} stays at revision ${revision}`], {
        appId,
        revision,
        changed: false,
        changes,
      })
      return EXIT.ok
    }
    const written = await store.write({ policy }, revision, noteOf(invocation), { check })
    for (const line of changeLines(invocation, changes)) tell(invocation, line)
    await show(invocation, [`${appId} is at revision ${written}`], {
      appId,
      revision: written,
      changed: true,
      changes,
    })
    return EXIT.ok
  } catch (error) {
    // Kept, so that a mistake does not cost somebody their work.
    isKept = error instanceof SyntaxError || isPortcullisError(error)
    if (isKept) invocation.error(`nothing was written; your text is in ${file}\n`)
    throw error instanceof SyntaxError ? new Error(`the text is not JSON: ${sayJsonFault(text)}`) : error
  } finally {
    if (!isKept) await rm(folder, { recursive: true, force: true })
  }
})

function parsedText(text: string): unknown {
  return JSON.parse(text) as unknown
}

/** Runs the user's editor on the terminal, and waits until it ends. */
async function openEditor({ env, terminals }: Invocation, file: string): Promise<void> {
  const named = [env['PORTCULLIS_EDITOR'], env['VISUAL'], env['EDITOR']].find((name) => (name ?? '') !== '')
  // An editor without a terminal would wait forever for input.
  if (named === undefined && !(terminals.input && terminals.output))
    throw new CommandUsageError(
      'no editor is set, and there is no terminal: set EDITOR, or use `policy get` and `policy set`',
    )
  const editor = named ?? 'vi'
  // The variable may contain arguments, so a shell must split it; the path is passed separately.
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  if (code !== 0)
    throw new Error(
      `the editor \`${editor}\` ended with ${code === null ? 'a signal' : `code ${code}`}; nothing was written`,
    )
}
