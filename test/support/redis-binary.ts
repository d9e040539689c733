import { join } from 'node:path'
import { cache, findPrograms, isRoot } from './commands.ts'
import {
  byApt,
  byCommand,
  byUnpacking,
  findOrInstall,
  isInstalled,
  startScript,
  type WayToInstall,
} from './programs.ts'

const homebrewFolders = ['/opt/homebrew/bin', '/usr/local/bin']
const kept = join(cache, 'redis')

/**
 * The path of a Redis or Valkey server: `REDIS_SERVER_BIN`, else one on the PATH, else one kept by an earlier run, else
 * one that is installed now. Rejects with advice if none can be found.
 */
export async function findRedisServer(): Promise<string> {
  return findOrInstall({
    what: 'a Redis server',
    variable: 'REDIS_SERVER_BIN',
    candidates: () => [
      ...findPrograms(['redis-server', 'valkey-server'], homebrewFolders),
      ...findPrograms(['redis-server'], [kept], { onPath: false }),
    ],
    waysToInstall: waysToInstall(),
    advice:
      `${installLine()}, or set REDIS_SERVER_BIN to a redis-server program ` +
      '(REDIS_URL serves only the tests that do not stop the server)',
  })
}

function waysToInstall(): readonly WayToInstall[] {
  const ways: WayToInstall[] = []
  if (isRoot && isInstalled('apt-get')) ways.push(byApt('redis-server'))
  if (isInstalled('apt-get') && isInstalled('dpkg')) ways.push(unpackingFromApt)
  if (isRoot && isInstalled('apk')) ways.push(byCommand('apk', 'add', '--no-cache', 'redis'))
  if (isRoot && isInstalled('dnf')) {
    ways.push(byCommand('dnf', 'install', '-y', 'redis'), byCommand('dnf', 'install', '-y', 'valkey'))
  }
  if (!isRoot && isInstalled('brew')) ways.push(byCommand('brew', 'install', 'redis'))
  return ways
}

const unpackingFromApt = byUnpacking({
  what: 'redis-server',
  packages: ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1'],
  kept,
  starter: () => ({ name: 'redis-server', script: startScript('usr/bin/redis-server') }),
})

function installLine(): string {
  if (process.platform === 'darwin') return '`brew install redis`'
  if (isInstalled('apk')) return '`apk add redis`'
  if (isInstalled('dnf')) return '`sudo dnf install redis`'
  return process.platform === 'linux' ? '`sudo apt-get install redis-server`' : 'install Redis or Valkey'
}
