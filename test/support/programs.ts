import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { announce, cache, findPrograms, run } from './commands.ts'

/** A program that tests need, and how to come by it. */
export interface Wanted {
  /** For messages: `a Redis server`. */
  readonly what: string
  /** The environment variable that names it, and wins over everything else. */
  readonly variable: string
  /** Full paths where it may be, best first. Asked again after each installation. */
  candidates(): readonly string[]
  /** Tried in this order when no candidate runs. */
  readonly waysToInstall: readonly WayToInstall[]
  /** What a person can do, as the end of a sentence. */
  readonly advice: string
}

export interface WayToInstall {
  readonly name: string
  /** Answers with why it did not work, or `undefined` when it did. */
  install(): Promise<string | undefined>
}

/** The path of a program that answers to `--version`, installed now if need be. Rejects with what a person can do. */
export async function findOrInstall(wanted: Wanted): Promise<string> {
  const named = process.env[wanted.variable]
  if (named !== undefined && named !== '') {
    if (await answers(named)) return named
    throw new Error(`${wanted.variable} names \`${named}\`, which does not answer to --version`)
  }
  const present = await firstThatAnswers(wanted)
  if (present !== undefined) return present

  const tried: string[] = []
  for (const way of wanted.waysToInstall) {
    announce(`${wanted.what} is not here: trying ${way.name}`)
    const refusal = await way.install()
    const found = refusal === undefined ? await firstThatAnswers(wanted) : undefined
    if (found !== undefined) return found
    const lastWords = (refusal ?? 'it brought none that runs').split('\n').slice(-3).join(' | ')
    tried.push(`\n  tried ${way.name}: ${lastWords}`)
  }
  throw new Error(`The tests need ${wanted.what}: ${wanted.advice}.${tried.join('')}`)
}

async function firstThatAnswers({ candidates }: Wanted): Promise<string | undefined> {
  for (const program of candidates()) if (await answers(program)) return program
  return undefined
}

async function answers(program: string): Promise<boolean> {
  return (await run(program, ['--version'], { timeout: 20_000 })).succeeded
}

export function isInstalled(program: string): boolean {
  return findPrograms([program]).length > 0
}

/** Installs with one command of the system's package manager. */
export function byCommand(program: string, ...args: readonly string[]): WayToInstall {
  return {
    name: [program, ...args].join(' '),
    async install() {
      const { succeeded, output } = await run(program, args, { timeout: 600_000 })
      return succeeded ? undefined : output
    },
  }
}

const serviceSwitch = '/usr/sbin/policy-rc.d'

/** Installs Debian packages as root, without starting the services that they bring. */
export function byApt(...packages: readonly string[]): WayToInstall {
  return {
    name: `apt-get install ${packages.join(' ')}`,
    async install() {
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
      // A list that cannot be fetched need not be the one we want, so only the installation's own word counts.
      await run('apt-get', ['update', '-q'], { env, timeout: 300_000 })
      // Debian starts a freshly installed service, unless this file says no. We want the program, not the service.
      const switchIsOurs = !existsSync(serviceSwitch)
      if (switchIsOurs) await writeFile(serviceSwitch, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
      try {
        const args = [
          '-o',
          'DPkg::Lock::Timeout=300',
          'install',
          '-y',
          '-q',
          '--no-install-recommends',
          ...packages,
        ]
        const { succeeded, output } = await run('apt-get', args, { env, timeout: 600_000 })
        return succeeded ? undefined : output
      } finally {
        if (switchIsOurs) await rm(serviceSwitch, { force: true })
      }
    },
  }
}

/** Debian packages that are fetched and unpacked into a folder, which becomes `kept`. */
export interface Unpacking {
  readonly what: string
  /** By their names; asked with the options that make apt use the package lists of the test. */
  readonly packages: readonly string[] | ((apt: readonly string[]) => Promise<readonly string[]>)
  /** The folder of the cache in which they end. */
  readonly kept: string
  /** Written beside them: a program that starts what was unpacked, by its name. */
  readonly starter?: (packages: readonly string[]) => { readonly name: string; readonly script: string }
}

/** Needs no rights on the machine: the packages are fetched with package lists of our own and only unpacked. */
export function byUnpacking(wanted: Unpacking): WayToInstall {
  return {
    name: `apt-get download ${wanted.what}`,
    async install() {
      await mkdir(cache, { recursive: true })
      const work = await mkdtemp(join(cache, 'unpacking-'))
      try {
        return await unpack(work, wanted)
      } finally {
        await rm(work, { recursive: true, force: true })
      }
    },
  }
}

async function unpack(work: string, { packages, kept, starter }: Unpacking): Promise<string | undefined> {
  const [lists, archives, status] = [join(work, 'lists'), join(work, 'archives'), join(work, 'status')]
  await mkdir(join(lists, 'partial'), { recursive: true })
  await mkdir(join(archives, 'partial'), { recursive: true })
  await writeFile(status, '')
  const apt = [`Dir::State::lists=${lists}`, `Dir::Cache=${archives}`, `Dir::State::status=${status}`]
  const ours = [...apt, 'APT::Sandbox::User=', 'Debug::NoLocking=true'].flatMap((setting) => ['-o', setting])
  await run('apt-get', [...ours, 'update', '-q'], { timeout: 300_000 })

  const names = typeof packages === 'function' ? await packages(ours) : packages
  const download = await run('apt-get', [...ours, 'download', '-q', ...names], {
    cwd: work,
    timeout: 300_000,
  })
  if (!download.succeeded) return download.output
  const root = join(work, 'root')
  for (const file of (await readdir(work)).filter((name) => name.endsWith('.deb'))) {
    const unpacked = await run('dpkg', ['-x', join(work, file), root])
    if (!unpacked.succeeded) return unpacked.output
  }
  if (starter !== undefined) {
    const { name, script } = starter(names)
    await writeFile(join(root, name), script, { mode: 0o755 })
  }
  await rm(kept, { recursive: true, force: true })
  await rename(root, kept)
  return undefined
}

/** Starts an unpacked program with the libraries that were unpacked beside it. */
export const startScript = (command: string, ...options: readonly string[]): string => `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu*)\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec ${[`"$here/${command}"`, ...options].join(' ')} "$@"
`
