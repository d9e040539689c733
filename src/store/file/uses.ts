import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { UnavailableError } from '../../errors.ts'
import { temporaryName } from './lock.ts'
import { isUse, USES_KEPT } from '../key-uses.ts'

/** When keys were last used, by app id and key id, in a separate file next to the policies. */
export interface FileUses {
  of(appId: string): Promise<(keyId: string) => number | undefined>
  /** Rejects with `UnavailableError`. */
  note(appId: string, keyId: string, at: number): Promise<void>
}

/**
 * Uses are stored apart from the policies, which are kept in git and watched, because uses change all the time. There is no lock:
 * if two processes write at once, one use is lost until that process notes the next.
 */
export function createFileUses(file: string): FileUses {
  const path = `${file}.used`
  let pending: [appId: string, keyId: string, at: number][] = []
  let last: Promise<void> = Promise.resolve()

  async function write(): Promise<void> {
    const noted = pending
    pending = []
    if (noted.length === 0) return
    const uses = await readUses(path)
    for (const [appId, keyId, at] of noted)
      uses.set(appId, (uses.get(appId) ?? new Map<string, number>()).set(keyId, at))
    const temporary = temporaryName(file)
    try {
      await writeFile(temporary, format(uses, Date.now() - USES_KEPT), { flag: 'wx', mode: 0o600 })
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      const { code, name } = error as NodeJS.ErrnoException
      throw new UnavailableError(`\`${path}\` cannot be written: ${code ?? name}`)
    }
  }

  return {
    async of(appId) {
      const uses = (await readUses(path)).get(appId)
      return (keyId) => uses?.get(keyId)
    },
    note(appId, keyId, at) {
      pending.push([appId, keyId, at])
      // Uses noted during a write are written together in the next one.
      const written = last.then(write)
      last = written.catch(() => undefined)
      return written
    },
  }
}

type Uses = Map<string, Map<string, number>>

/** A damaged or missing file counts as empty. */
async function readUses(path: string): Promise<Uses> {
  const uses: Uses = new Map()
  try {
    for (const [appId, keys] of entries(JSON.parse(await readFile(path, 'utf8')))) {
      const read = entries(keys).map(([keyId, text]) => [keyId, Date.parse(String(text))] as const)
      uses.set(appId, new Map(read.filter(([, at]) => isUse(at))))
    }
  } catch {
    // The uses will be noted again.
  }
  return uses
}

function entries(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}

function format(uses: Uses, oldest: number): string {
  const apps = [...uses].flatMap(([appId, keys]) => {
    const kept = [...keys].filter(([, at]) => at >= oldest)
    const texts = kept.map(([keyId, at]) => [keyId, new Date(at).toISOString()] as const)
    return kept.length === 0 ? [] : [[appId, Object.fromEntries(texts.sort(byName))] as const]
  })
  return `${JSON.stringify(Object.fromEntries(apps.sort(byName)), null, 2)}\n`
}

function byName([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1
}
