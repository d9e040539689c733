import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cache, findPrograms, isRoot, run } from './commands.ts'
import { byApt, byCommand, findOrInstall, isInstalled, type WayToInstall } from './programs.ts'

const kept = join(cache, 'php')

/**
 * The path of a PHP for the command line that runs on this machine: `PHP_BIN`, else one on the PATH, else one that an
 * earlier run kept, else one installed now. Rejects with what a person can do.
 */
export async function findPhp(): Promise<string> {
  return findOrInstall({
    what: 'a PHP for the command line',
    variable: 'PHP_BIN',
    candidates: () => [
      ...findPrograms(['php'], ['/opt/homebrew/bin', '/usr/local/bin']),
      ...findPrograms(['php'], [kept], { onPath: false }),
    ],
    waysToInstall: waysToInstall(),
    advice: `${installLine()}, or set PHP_BIN to a php program`,
  })
}

function waysToInstall(): readonly WayToInstall[] {
  const ways: WayToInstall[] = []
  // Not one of curl, json or openssl: the client needs the stream functions of the core alone.
  if (isRoot && isInstalled('apt-get')) ways.push(byApt('php-cli'))
  if (isInstalled('apt-get') && isInstalled('dpkg')) ways.push(unpackingFromApt)
  if (isRoot && isInstalled('apk')) ways.push(byCommand('apk', 'add', '--no-cache', 'php84'))
  if (isRoot && isInstalled('dnf')) ways.push(byCommand('dnf', 'install', '-y', 'php-cli'))
  if (!isRoot && isInstalled('brew')) ways.push(byCommand('brew', 'install', 'php'))
  return ways
}

/** Needs no rights on the machine: the package and what it depends on are fetched and only unpacked. */
const unpackingFromApt: WayToInstall = {
  name: 'apt-get download php-cli',
  async install() {
    await mkdir(cache, { recursive: true })
    const work = await mkdtemp(join(cache, 'php-'))
    try {
      return await unpackFromApt(work)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  },
}

async function unpackFromApt(work: string): Promise<string | undefined> {
  const found = await run('apt-cache', ['depends', 'php-cli'])
  const version = /\bphp(\d+\.\d+)-cli\b/.exec(found.output)?.[1]
  if (version === undefined) return found.output
  const packages = [`php${version}-cli`, `php${version}-common`, 'libargon2-1', 'libsodium23']
  const download = await run('apt-get', ['download', '-q', ...packages], { cwd: work, timeout: 300_000 })
  if (!download.succeeded) return download.output
  const root = join(work, 'root')
  for (const file of (await readdir(work)).filter((name) => name.endsWith('.deb'))) {
    const unpacked = await run('dpkg', ['-x', join(work, file), root])
    if (!unpacked.succeeded) return unpacked.output
  }
  await writeFile(join(root, 'php'), startScript(version), { mode: 0o755 })
  await rm(kept, { recursive: true, force: true })
  await rename(root, kept)
  return undefined
}

const startScript = (version: string): string => `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu*)\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/usr/bin/php${version}" -n "$@"
`

function installLine(): string {
  if (process.platform === 'darwin') return '`brew install php`'
  if (isInstalled('dnf')) return '`sudo dnf install php-cli`'
  return process.platform === 'linux' ? '`sudo apt-get install php-cli`' : 'install PHP'
}
