import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { repository, run } from '../support/commands.ts'

interface Manifest {
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly exports: Record<string, unknown>
}

export const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as Manifest

/** The package as users receive it: packed and unpacked. */
export interface Packed {
  readonly folder: string
  /** The size of the tarball in bytes. */
  readonly size: number
  /** Creates a user's project with the package and these further packages. */
  project(links: Readonly<Record<string, string>>): Promise<Project>
  remove(): Promise<void>
}

export interface Project {
  readonly folder: string
  /** Runs a JavaScript file in the project, and resolves with its output. Rejects if it fails. */
  execute(file: string, code: string): Promise<string>
}

export async function pack(): Promise<Packed> {
  demandFreshBuild()
  const home = await mkdtemp(join(tmpdir(), 'portcullis-package-'))
  await must('npm', ['pack', '--ignore-scripts', '--pack-destination', home], repository)
  const tarball = (await readdir(home)).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack made no tarball')
  await must('tar', ['-xzf', tarball], home)
  const folder = join(home, 'package')
  return {
    folder,
    size: statSync(join(home, tarball)).size,
    project: (links) => createProject(home, folder, links),
    remove: () => rm(home, { recursive: true, force: true }),
  }
}

/** The package is copied and the others are linked, so that it finds only the packages of the project. */
async function createProject(
  home: string,
  packed: string,
  links: Readonly<Record<string, string>>,
): Promise<Project> {
  const folder = await mkdtemp(join(home, 'project-'))
  const modules = join(folder, 'node_modules')
  await cp(packed, join(modules, 'portcullis'), { recursive: true })
  for (const [name, source] of Object.entries(links)) {
    await mkdir(dirname(join(modules, name)), { recursive: true })
    await symlink(join(repository, 'node_modules', source), join(modules, name), 'dir')
  }
  return {
    folder,
    async execute(file, code) {
      await writeFile(join(folder, file), code)
      return must(process.execPath, [file], folder)
    },
  }
}

export async function must(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { succeeded, output } = await run(program, args, { cwd, timeout: 60_000 })
  if (!succeeded) throw new Error(`${program} ${args.join(' ')}: ${output}`)
  return output
}

function demandFreshBuild(): void {
  const built = join(repository, 'dist', 'cjs', 'package.json') // written last
  const newest = readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(repository, 'src', name)))
    .filter((entry) => entry.isFile())
    .reduce((latest, { mtimeMs }) => Math.max(latest, mtimeMs), 0)
  if (!existsSync(built) || statSync(built).mtimeMs < newest) {
    throw new Error('dist is missing or older than src: run `npm run build`, or `npm run test:package`')
  }
}
