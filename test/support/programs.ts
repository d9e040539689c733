import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { announce, cache, findPrograms, run } from './commands.ts'

/** A program that tests need, and how to get it. */
export interface Wanted {
  /** The name in messages, such as `a Redis server`. */
  readonly what: string
  /** The environment variable with its path, which has priority over everything else. */
  readonly variable: string
  /** Full paths where it may be, best first. Called again after each installation. */
  candidates(): readonly string[]
  /** Tried in this order if no candidate runs. */
  readonly waysToInstall: readonly WayToInstall[]
  /** Advice, as the end of a sentence. */
  readonly advice: string
  /** The argument that prints its version. Default `--version`. */
  readonly version?: string
}

export interface WayToInstall {
  readonly name: string
  /** Resolves with the reason of the failure, or with `undefined`. */
  install(): Promise<string | undefined>
}

/** The path of a program that can print its version. Installs it if necessary. Rejects with advice. */
export async function findOrInstall(wanted: Wanted): Promise<string> {
  const named = process.env[wanted.variable]
  if (named !== undefined && named !== '') {
    if (await answers(named, wanted)) return named
    throw new Error(
      `${wanted.variable} names \`${named}\`, which does not answer to ${wanted.version ?? '--version'}`,
    )
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

async function firstThatAnswers(wanted: Wanted): Promise<string | undefined> {
  for (const program of wanted.candidates()) if (await answers(program, wanted)) return program
  return undefined
}

async function answers(program: string, { version = '--version' }: Wanted): Promise<boolean> {
  return (await run(program, [version], { timeout: 20_000 })).succeeded
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
      // A list that cannot be fetched may be irrelevant, so only the result of the installation counts.
      await run('apt-get', ['update', '-q'], { env, timeout: 300_000 })
      // Debian starts a newly installed service, unless this file forbids it. We want the program, not the service.
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
  /** The package names, or a function that receives the options with which apt uses the test's package lists. */
  readonly packages: readonly string[] | ((apt: readonly string[]) => Promise<readonly string[]>)
  /** The target folder in the cache. */
  readonly kept: string
  /** A script that starts the unpacked program, and its name. */
  readonly starter?: (packages: readonly string[]) => { readonly name: string; readonly script: string }
}

/** Needs no permissions on the machine: packages are fetched with separate package lists, and only unpacked. */
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

/** A script that starts an unpacked program with the libraries unpacked next to it. */
export const startScript = (command: string, ...options: readonly string[]): string => `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu*)\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec ${[`"$here/${command}"`, ...options].join(' ')} "$@"
`
