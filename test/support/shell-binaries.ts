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

interface Shell {
  readonly variable: string
  /** The Debian packages that it needs in addition to the C library. */
  readonly packages: readonly string[]
  readonly program: string
}

const SHELLS = {
  zsh: { variable: 'ZSH_BIN', packages: ['zsh', 'zsh-common'], program: 'bin/zsh' },
  fish: { variable: 'FISH_BIN', packages: ['fish', 'libpcre2-32-0'], program: 'usr/bin/fish' },
} as const satisfies Readonly<Record<string, Shell>>

/** The folder of an unpacked shell, with the modules and functions of zsh. */
export const unpackedShell = (name: keyof typeof SHELLS): string => join(cache, name)

/**
 * The path of a shell: `ZSH_BIN` or `FISH_BIN`, else one on the PATH, else one kept by an earlier run, else one that is
 * installed now. Rejects with advice if none can be found.
 */
export async function findShell(name: keyof typeof SHELLS): Promise<string> {
  const { variable, packages, program } = SHELLS[name]
  const kept = unpackedShell(name)
  const ways: WayToInstall[] = []
  if (isInstalled('apt-get') && isInstalled('dpkg'))
    ways.push(
      byUnpacking({ what: name, packages, kept, starter: () => ({ name, script: startScript(program) }) }),
    )
  if (isRoot && isInstalled('apt-get')) ways.push(byApt(name))
  if (isRoot && isInstalled('apk')) ways.push(byCommand('apk', 'add', '--no-cache', name))
  if (isRoot && isInstalled('dnf')) ways.push(byCommand('dnf', 'install', '-y', name))
  if (!isRoot && isInstalled('brew')) ways.push(byCommand('brew', 'install', name))
  return findOrInstall({
    what: `the shell ${name}`,
    variable,
    candidates: () => [
      ...findPrograms([name], ['/opt/homebrew/bin', '/usr/local/bin']),
      ...findPrograms([name], [kept], { onPath: false }),
    ],
    waysToInstall: ways,
    advice: `install ${name}, or set ${variable} to its program`,
  })
}
