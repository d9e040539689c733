import { join } from 'node:path'
import { cache, findPrograms, isRoot } from './commands.ts'
import { byApt, byCommand, byUnpacking, findOrInstall, isInstalled, type WayToInstall } from './programs.ts'

const kept = join(cache, 'promtool')

/**
 * The path of a promtool: `PROMTOOL_BIN`, else one on the PATH, else one kept by an earlier run, else one that is
 * installed now. Rejects with advice if none can be found.
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

const unpackingFromApt = byUnpacking({ what: 'prometheus', packages: ['prometheus'], kept })
