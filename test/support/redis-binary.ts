import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cache, findPrograms, isRoot, run } from './commands.ts'
import { byApt, byCommand, findOrInstall, isInstalled, type WayToInstall } from './programs.ts'

const homebrewFolders = ['/opt/homebrew/bin', '/usr/local/bin']
const kept = join(cache, 'redis')

/**
 * The path of a Redis or Valkey server that runs on this machine: `REDIS_SERVER_BIN`, else one on the PATH, else one
 * that an earlier run kept, else one installed now. Rejects with what a person can do.
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

/** Needs no rights on the machine: the packages are fetched with package lists of our own and only unpacked. */
const unpackingFromApt: WayToInstall = {
  name: 'apt-get download redis-server',
  async install() {
    await mkdir(cache, { recursive: true })
    const work = await mkdtemp(join(cache, 'redis-'))
    try {
      return await unpackFromApt(work)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  },
}

async function unpackFromApt(work: string): Promise<string | undefined> {
  const [lists, archives, status] = [join(work, 'lists'), join(work, 'archives'), join(work, 'status')]
  await mkdir(join(lists, 'partial'), { recursive: true })
  await mkdir(join(archives, 'partial'), { recursive: true })
  await writeFile(status, '')
  const apt = [`Dir::State::lists=${lists}`, `Dir::Cache=${archives}`, `Dir::State::status=${status}`]
  const ours = [...apt, 'APT::Sandbox::User=', 'Debug::NoLocking=true'].flatMap((setting) => ['-o', setting])
  await run('apt-get', [...ours, 'update', '-q'], { timeout: 300_000 })

  const wanted = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1']
  const download = await run('apt-get', [...ours, 'download', '-q', ...wanted], {
    cwd: work,
    timeout: 300_000,
  })
  if (!download.succeeded) return download.output
  const root = join(work, 'root')
  for (const file of (await readdir(work)).filter((name) => name.endsWith('.deb'))) {
    const unpacked = await run('dpkg', ['-x', join(work, file), root])
    if (!unpacked.succeeded) return unpacked.output
  }
  await writeFile(join(root, 'redis-server'), startScript, { mode: 0o755 })
  await rm(kept, { recursive: true, force: true })
  await rename(root, kept)
  return undefined
}

const startScript = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu*)\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/usr/bin/redis-server" "$@"
`

function installLine(): string {
  if (process.platform === 'darwin') return '`brew install redis`'
  if (isInstalled('apk')) return '`apk add redis`'
  if (isInstalled('dnf')) return '`sudo dnf install redis`'
  return process.platform === 'linux' ? '`sudo apt-get install redis-server`' : 'install Redis or Valkey'
}
