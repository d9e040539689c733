import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { announce, cache, findProgram, isExecutable, isRoot, run } from './commands.ts'

const names = ['redis-server', 'valkey-server']
const homebrewFolders = ['/opt/homebrew/bin', '/usr/local/bin']
const kept = join(cache, 'redis')
const keptProgram = join(kept, 'redis-server')
const serviceSwitch = '/usr/sbin/policy-rc.d'

/**
 * The path of a Redis or Valkey server that runs on this machine: `REDIS_SERVER_BIN`, else one on the PATH, else one
 * that an earlier run kept, else one installed now. Rejects with one line that says what to do.
 */
export async function findRedisServer(): Promise<string> {
  const named = process.env['REDIS_SERVER_BIN']
  if (named !== undefined && named !== '') {
    if (await answers(named)) return named
    throw new Error(`REDIS_SERVER_BIN names \`${named}\`, which does not answer to --version`)
  }
  const present = (await installed()) ?? (await keptFromBefore())
  if (present !== undefined) return present

  const refusals: string[] = []
  for (const way of waysToInstall()) {
    announce(`no redis-server here: installing it by ${way.name}`)
    const refusal = await way.install()
    const found = refusal === undefined ? ((await installed()) ?? (await keptFromBefore())) : undefined
    if (found !== undefined) return found
    refusals.push(`${way.name}: ${refusal ?? 'it did not bring a redis-server that runs'}`)
  }
  throw new Error(
    `The tests need a Redis server: ${installLine()}, or set REDIS_SERVER_BIN to a redis-server program ` +
      `(REDIS_URL alone serves only the tests that do not stop the server).` +
      refusals.map((refusal) => `\n  tried ${refusal.split('\n').slice(-3).join(' | ')}`).join(''),
  )
}

async function answers(program: string): Promise<boolean> {
  return (await run(program, ['--version'], { timeout: 10_000 })).succeeded
}

async function installed(): Promise<string | undefined> {
  const program = findProgram(names, homebrewFolders)
  return program !== undefined && (await answers(program)) ? program : undefined
}

async function keptFromBefore(): Promise<string | undefined> {
  return isExecutable(keptProgram) && (await answers(keptProgram)) ? keptProgram : undefined
}

interface Way {
  readonly name: string
  /** Answers with why it did not work, or `undefined` when it did. */
  install(): Promise<string | undefined>
}

function waysToInstall(): Way[] {
  const has = (program: string): boolean => findProgram([program], homebrewFolders) !== undefined
  const ways: Way[] = []
  if (isRoot && has('apt-get')) ways.push({ name: 'apt-get install', install: installByApt })
  if (has('apt-get') && has('dpkg')) ways.push({ name: 'apt-get download', install: unpackFromApt })
  if (isRoot && has('apk')) ways.push(command('apk', 'add', '--no-cache', 'redis'))
  if (isRoot && has('dnf'))
    ways.push(command('dnf', 'install', '-y', 'redis'), command('dnf', 'install', '-y', 'valkey'))
  if (!isRoot && has('brew')) ways.push(command('brew', 'install', 'redis'))
  return ways
}

function command(program: string, ...args: string[]): Way {
  return {
    name: [program, ...args].join(' '),
    install: async () => failure(await run(program, args, { timeout: 600_000 })),
  }
}

function failure({ succeeded, output }: { succeeded: boolean; output: string }): string | undefined {
  return succeeded ? undefined : output
}

async function installByApt(): Promise<string | undefined> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const wait = ['-o', 'DPkg::Lock::Timeout=300']
  // A list that cannot be fetched need not be the one we want, so only the installation's own word counts.
  await run('apt-get', ['update', '-q'], { env, timeout: 300_000 })
  // Debian starts a freshly installed service, unless this file says no. We want the program, not the service.
  const ownSwitch = !existsSync(serviceSwitch)
  if (ownSwitch) await writeFile(serviceSwitch, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const args = [...wait, 'install', '-y', '-q', '--no-install-recommends', 'redis-server']
    return failure(await run('apt-get', args, { env, timeout: 600_000 }))
  } finally {
    if (ownSwitch) await rm(serviceSwitch, { force: true })
  }
}

/** Needs no rights on the machine: the packages are fetched with package lists of our own and only unpacked. */
async function unpackFromApt(): Promise<string | undefined> {
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, 'redis-'))
  try {
    const lists = join(work, 'lists')
    const archives = join(work, 'archives')
    const status = join(work, 'status')
    await mkdir(join(lists, 'partial'), { recursive: true })
    await mkdir(join(archives, 'partial'), { recursive: true })
    await writeFile(status, '')
    const apt = [
      `Dir::State::lists=${lists}`,
      `Dir::Cache=${archives}`,
      `Dir::State::status=${status}`,
    ].flatMap((setting) => ['-o', setting])
    await run('apt-get', [...apt, 'update', '-q'], { timeout: 300_000 })
    const wanted = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1']
    const download = await run('apt-get', [...apt, 'download', '-q', ...wanted], {
      cwd: work,
      timeout: 300_000,
    })
    if (!download.succeeded) return download.output

    const root = join(work, 'root')
    for (const file of (await readdir(work)).filter((name) => name.endsWith('.deb'))) {
      const unpacked = await run('dpkg', ['-x', join(work, file), root])
      if (!unpacked.succeeded) return unpacked.output
    }
    const script = join(root, 'redis-server')
    await writeFile(script, startScript)
    await chmod(script, 0o755)
    await rm(kept, { recursive: true, force: true })
    await rename(root, kept)
    return undefined
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

const startScript = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu*):$LD_LIBRARY_PATH
export LD_LIBRARY_PATH
exec "$here/usr/bin/redis-server" "$@"
`

function installLine(): string {
  if (process.platform === 'darwin') return '`brew install redis`'
  if (findProgram(['apk']) !== undefined) return '`apk add redis`'
  if (findProgram(['dnf']) !== undefined) return '`sudo dnf install redis`'
  if (process.platform === 'linux') return '`sudo apt-get install redis-server`'
  return 'install Redis or Valkey'
}
