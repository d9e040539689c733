import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cache, findPrograms, isRoot, run } from './commands.ts'
import { byApt, byCommand, findOrInstall, isInstalled, type WayToInstall } from './programs.ts'

const kept = join(cache, 'chromium')
// The last major version that runs on Node 20.
const npmPackage = '@sparticuz/chromium@147.0.0'

/**
 * The path of a Chromium or Chrome: `CHROME_PATH`, else one on the PATH, else one kept by an earlier run, else one that
 * is installed now. Rejects with advice if none can be found.
 */
export async function findChromium(): Promise<string> {
  return findOrInstall({
    what: 'a Chromium',
    variable: 'CHROME_PATH',
    candidates: () => [
      ...findPrograms(['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']),
      ...findPrograms(
        ['Google Chrome', 'Chromium'],
        ['/Applications/Google Chrome.app/Contents/MacOS', '/Applications/Chromium.app/Contents/MacOS'],
        { onPath: false },
      ),
      ...findPrograms(['start'], [kept], { onPath: false }),
    ],
    waysToInstall: waysToInstall(),
    advice: `${installLine()}, or set CHROME_PATH to a Chromium or Chrome program`,
  })
}

function waysToInstall(): readonly WayToInstall[] {
  const ways: WayToInstall[] = []
  if (isRoot && isInstalled('apt-get')) ways.push(byApt('chromium', 'fonts-dejavu-core'))
  if (isRoot && isInstalled('apk'))
    ways.push(byCommand('apk', 'add', '--no-cache', 'chromium', 'font-dejavu'))
  if (process.platform === 'linux' && process.arch === 'x64') ways.push(unpackingFromNpm)
  if (isRoot && isInstalled('dnf')) ways.push(byCommand('dnf', 'install', '-y', 'chromium'))
  return ways
}

/** Needs no permissions on the machine. */
const unpackingFromNpm: WayToInstall = {
  name: `npm install ${npmPackage}`,
  async install() {
    await mkdir(cache, { recursive: true })
    const work = await mkdtemp(join(cache, 'chromium-'))
    try {
      return await unpackFromNpm(work)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  },
}

async function unpackFromNpm(work: string): Promise<string | undefined> {
  await writeFile(join(work, 'package.json'), '{}')
  const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
  const installed = await run('npm', ['install', ...options, npmPackage], { cwd: work, timeout: 300_000 })
  if (!installed.succeeded) return installed.output
  const root = join(work, 'root')
  await mkdir(root)
  // The package unpacks into the temporary folder. It unpacks its libraries only on its own target machines.
  const unpacked = await run(process.execPath, ['-e', unpackAll], {
    cwd: join(work, 'node_modules', '@sparticuz', 'chromium'),
    env: { ...process.env, TMPDIR: root },
    timeout: 120_000,
  })
  if (!unpacked.succeeded) return unpacked.output
  await chmod(join(root, 'chromium'), 0o755)
  await writeFile(join(root, 'start'), startScript, { mode: 0o755 })
  await rm(kept, { recursive: true, force: true })
  await rename(root, kept)
  return undefined
}

const unpackAll = `
const { inflate } = require('./build/cjs/lambdafs.cjs')
const parts = ['chromium.br', 'fonts.tar.br', 'swiftshader.tar.br', 'al2023.tar.br']
Promise.all(parts.map((part) => inflate('bin/' + part))).catch((error) => {
  console.error(error)
  process.exitCode = 1
})`

const startScript = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$here/al2023/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
FONTCONFIG_PATH=$here/fonts
export LD_LIBRARY_PATH FONTCONFIG_PATH
exec "$here/chromium" "$@"
`

function installLine(): string {
  if (process.platform === 'darwin') return '`brew install --cask chromium`'
  if (isInstalled('dnf')) return '`sudo dnf install chromium`'
  return process.platform === 'linux' ? '`sudo apt-get install chromium`' : 'install Chromium or Chrome'
}
