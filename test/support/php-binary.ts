import { join } from 'node:path'
import { cache, findPrograms, isRoot, run } from './commands.ts'
import {
  byApt,
  byCommand,
  byUnpacking,
  findOrInstall,
  isInstalled,
  startScript,
  type WayToInstall,
} from './programs.ts'

const kept = join(cache, 'php')

/**
 * The path of a PHP for the command line: `PHP_BIN`, else one on the PATH, else one kept by an earlier run, else one
 * that is installed now. Rejects with advice if none can be found.
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
  // Without curl, json or openssl: the client needs only the stream functions of the core.
  if (isRoot && isInstalled('apt-get')) ways.push(byApt('php-cli'))
  if (isInstalled('apt-get') && isInstalled('dpkg')) ways.push(unpackingFromApt)
  if (isRoot && isInstalled('apk')) ways.push(byCommand('apk', 'add', '--no-cache', 'php84'))
  if (isRoot && isInstalled('dnf')) ways.push(byCommand('dnf', 'install', '-y', 'php-cli'))
  if (!isRoot && isInstalled('brew')) ways.push(byCommand('brew', 'install', 'php'))
  return ways
}

const unpackingFromApt = byUnpacking({
  what: 'php-cli',
  async packages(apt) {
    const found = await run('apt-cache', [...apt, 'depends', 'php-cli'])
    const version = /\bphp(\d+\.\d+)-cli\b/.exec(found.output)?.[1] ?? ''
    return [`php${version}-cli`, `php${version}-common`, 'libargon2-1', 'libsodium23']
  },
  kept,
  // Without a configuration, because it would name extensions that are not unpacked.
  starter: ([cli = '']) => ({ name: 'php', script: startScript(`usr/bin/${cli.replace('-cli', '')}`, '-n') }),
})

function installLine(): string {
  if (process.platform === 'darwin') return '`brew install php`'
  if (isInstalled('dnf')) return '`sudo dnf install php-cli`'
  return process.platform === 'linux' ? '`sudo apt-get install php-cli`' : 'install PHP'
}
