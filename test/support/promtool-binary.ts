import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cache, findPrograms, isRoot, run } from './commands.ts'
import { byApt, byCommand, findOrInstall, isInstalled, type WayToInstall } from './programs.ts'

const kept = join(cache, 'promtool')

/**
 * The path of a promtool that runs on this machine: `PROMTOOL_BIN`, else one on the PATH, else one that an earlier run kept, else one
 * installed now. Rejects with what a person can do.
 */
export async function findPromtool(): Promise<string> {
  return findOrInstall({
    what: 'promtool',
    variable: 'PROMTOOL_BIN',
    candidates: () => [
      ...findPrograms(['promtool'], ['/opt/homebrew/bin', '/usr/local/bin']),
      ...findPrograms(['promtool'], [join(kept, 'usr', 'bin')], { onPath: false }),
    ],
    waysToInstall: waysToInstall(),
    advice: 'install Prometheus, or set PROMTOOL_BIN to a promtool program',
  })
}

function waysToInstall(): readonly WayToInstall[] {
  const ways: WayToInstall[] = []
  if (isInstalled('apt-get') && isInstalled('dpkg')) ways.push(unpackingFromApt)
  if (isRoot && isInstalled('apt-get')) ways.push(byApt('prometheus'))
  if (isRoot && isInstalled('apk')) ways.push(byCommand('apk', 'add', '--no-cache', 'prometheus'))
  if (!isRoot && isInstalled('brew')) ways.push(byCommand('brew', 'install', 'prometheus'))
  return ways
}

/** Starts no server and needs no rights: the package is fetched and only unpacked. */
const unpackingFromApt: WayToInstall = {
  name: 'apt-get download prometheus',
  async install() {
    await mkdir(cache, { recursive: true })
    const work = await mkdtemp(join(cache, 'promtool-'))
    try {
      const download = await run('apt-get', ['download', '-q', 'prometheus'], { cwd: work, timeout: 300_000 })
      if (!download.succeeded) return download.output
      const file = (await readdir(work)).find((name) => name.endsWith('.deb')) ?? ''
      const root = join(work, 'root')
      const unpacked = await run('dpkg', ['-x', join(work, file), root])
      if (!unpacked.succeeded) return unpacked.output
      await rm(kept, { recursive: true, force: true })
      await rename(root, kept)
      return undefined
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  },
}
