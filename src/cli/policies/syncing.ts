import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { RevisionConflict } from '../../errors.ts'
import { isAppId } from '../../names.ts'
import { CommandUsageError, EXIT, isSet } from '../command.ts'
import { confirm, unreadableFile } from '../input.ts'
import { counted, SCHEMA_VERSION, show, tell } from '../output.ts'
import { noteOf, withStore } from '../store.ts'
import { fileNameOf, readPolicyFiles, REVISIONS_FILE } from './files.ts'
import { carryOut, planFor, planLines } from './plan.ts'

/** The revisions that the files of a directory were pulled from. */
type Revisions = ReadonlyMap<string, number>

export const pullPolicies = withStore(async (invocation, { store }) => {
  const { values, positionals, directory } = invocation
  const [given = ''] = positionals
  const folder = resolve(directory, given)
  await mkdir(folder, { recursive: true })
  const before = await readRevisions(folder)
  const revisions = new Map<string, number>()
  const written: string[] = []
  let after: string | undefined
  do {
    const page = await store.list({ after, limit: 200 })
    for (const { appId, revision, policy } of page.apps) {
      const changed = await writeIfOther(
        join(folder, fileNameOf(appId)),
        `${JSON.stringify(policy, null, 2)}\n`,
      )
      if (changed) written.push(appId)
      revisions.set(appId, revision)
    }
    after = page.next
  } while (after !== undefined)
  const gone = [...before.keys()].filter((appId) => !revisions.has(appId))
  const removed = isSet(values, 'prune') ? gone : []
  for (const appId of removed) await rm(join(folder, fileNameOf(appId)), { force: true })
  await writeRevisions(folder, revisions)
  for (const appId of gone.filter((id) => !removed.includes(id)))
    tell(invocation, `${appId} is no longer in the store; \`--prune\` removes its file`)
  const lines = [`${counted(revisions.size, 'app')} in ${given}, ${written.length} new or changed`]
  await show(invocation, lines, { directory: given, apps: Object.fromEntries(revisions), written, removed })
  return EXIT.ok
})

export const pushPolicies = withStore(
  async (invocation, opened) => {
    const { values, positionals, directory } = invocation
    const [given = ''] = positionals
    const folder = resolve(directory, given)
    const files = await readPolicyFiles(invocation, [given])
    const base = await readRevisions(folder)
    const present = new Set(files.map(({ appId }) => appId))
    const gone = [...base.keys()].filter((appId) => !present.has(appId))
    const { changes: planned, unchanged } = await planFor(opened, files, isSet(values, 'prune') ? gone : [])
    if (!isSet(values, 'force')) {
      for (const { appId, replaces } of planned)
        if (replaces !== (base.get(appId) ?? 0))
          throw new RevisionConflict(appId, base.get(appId) ?? 0, replaces)
    }
    const removals = planned.filter(({ action }) => action === 'remove')
    for (const line of planLines(invocation, planned)) tell(invocation, line)
    if (
      removals.length > 0 &&
      !(await confirm(invocation, `${counted(removals.length, 'app')} would be removed.`))
    )
      return EXIT.no
    // A file with the same meaning as the stored policy is up to date, whoever wrote it.
    const revisions = new Map([...base, ...unchanged])
    const done: { appId: string; action: string; revision: number }[] = []
    try {
      await carryOut(opened, planned, noteOf(invocation), ({ appId, action }, revision) => {
        done.push({ appId, action, revision })
        if (action === 'remove') revisions.delete(appId)
        else revisions.set(appId, revision)
      })
    } finally {
      // Recorded even after a failure, so that our own writes do not look like changes by others later.
      await writeRevisions(folder, revisions)
    }
    await show(invocation, [`${counted(done.length, 'app')} changed`], { directory: given, applied: done })
    return EXIT.ok
  },
  { create: true },
)

async function writeIfOther(path: string, text: string): Promise<boolean> {
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before === text) return false
  await writeFile(path, text)
  return true
}

async function readRevisions(folder: string): Promise<Revisions> {
  let text: string
  try {
    text = await readFile(join(folder, REVISIONS_FILE), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw unreadableFile(REVISIONS_FILE, error)
  }
  try {
    const { schemaVersion, apps } = JSON.parse(text) as {
      schemaVersion: unknown
      apps: Record<string, unknown>
    }
    const entries = Object.entries(apps)
    if (
      schemaVersion === SCHEMA_VERSION &&
      entries.every(([id, revision]) => isAppId(id) && Number.isSafeInteger(revision))
    )
      return new Map(entries as [string, number][])
  } catch {
    // Reported below.
  }
  throw new CommandUsageError(
    `\`${REVISIONS_FILE}\` is damaged: remove it, and run \`npx portcullis policy pull\` again`,
  )
}

async function writeRevisions(folder: string, revisions: Revisions): Promise<void> {
  const apps = Object.fromEntries([...revisions].toSorted(([one], [other]) => (one < other ? -1 : 1)))
  const text = `${JSON.stringify({ schemaVersion: SCHEMA_VERSION, apps }, null, 2)}\n`
  await writeIfOther(join(folder, REVISIONS_FILE), text)
}
