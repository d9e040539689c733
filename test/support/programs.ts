import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { announce, findPrograms, run } from './commands.ts'

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
  /** By which argument it tells its version. Default `--version`. */
  readonly version?: string
}

export interface WayToInstall {
  readonly name: string
  /** Answers with why it did not work, or `undefined` when it did. */
  install(): Promise<string | undefined>
}

/** The path of a program that tells its version, installed now if need be. Rejects with what a person can do. */
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
