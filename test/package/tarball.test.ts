import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { build } from 'esbuild'
import { repository, run } from '../support/commands.ts'
import { readSources } from '../unit/house/sources.ts'
import { manifest, must, pack, type Packed } from './consumer.ts'

let packed: Packed

beforeAll(async () => {
  packed = await pack()
}, 300_000)
afterAll(() => packed.remove())

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  )

const subpaths = Object.keys(manifest.exports)
  .filter((entry) => !entry.endsWith('.json'))
  .map((entry) => join('portcullis', entry))

describe('the tarball', () => {
  it('has no line of code that hides the message of an uncaught error', () => {
    const code = filesIn(join(packed.folder, 'dist/cjs')).filter((name) => !name.startsWith('data/'))
    const long = code.flatMap((name) =>
      readFileSync(join(packed.folder, 'dist/cjs', name), 'utf8')
        .split('\n')
        .filter((line) => line.length > 2_500)
        .map((line) => `${name}: ${line.length}`),
    )
    expect(long).toEqual([])
  })

  it('contains the code, its types, the JSON Schema, licences and documentation, and nothing else', () => {
    const strangers = filesIn(packed.folder).filter(
      (name) => !/^dist\/(esm|cjs|node)\/([a-z]+\/)*[\w-]+(\.d\.ts|\.js)$/.test(name),
    )
    expect(strangers.toSorted()).toEqual([
      'LICENSE',
      'README.md',
      'dist/THIRD-PARTY-LICENSES.txt',
      'dist/cjs/package.json',
      'dist/policy.schema.json',
      'docs/codes.md',
      'package.json',
    ])
  })

  it('has at most 525 kB, and at most 3 MB on disk', () => {
    // Like `du`: a file occupies whole blocks.
    const onDisk = filesIn(packed.folder).reduce(
      (sum, name) => sum + Math.ceil(statSync(join(packed.folder, name)).size / 4_096) * 4_096,
      0,
    )
    console.info(`tarball ${(packed.size / 1e3).toFixed(0)} kB, on disk ${(onDisk / 1e6).toFixed(2)} MB`)
    expect(packed.size).toBeLessThanOrEqual(525_000)
    expect(onDisk).toBeLessThanOrEqual(3_000_000)
  })

  it('has no module too large for gzip to find its twin: split it with PARTS in scripts/build.ts', () => {
    const sizeOf = (name: string): number => statSync(join(packed.folder, 'dist', 'cjs', name)).size
    const twins = readdirSync(join(packed.folder, 'dist', 'esm')).filter((name) => name.endsWith('.js'))
    expect(twins.length).toBeGreaterThan(50)
    // A file of this size, padded to 31,744 bytes, and its tar header are within the 32 KB window of gzip.
    expect(twins.filter((name) => sizeOf(name) > 31_700).map((name) => `${name}: ${sizeOf(name)}`)).toEqual(
      [],
    )
  })

  it('has no dependencies', () => {
    const { dependencies = {} } = JSON.parse(readFileSync(join(packed.folder, 'package.json'), 'utf8')) as {
      dependencies?: object
    }
    expect(dependencies).toEqual({})
  })

  it('lists every package whose code it contains, with its licence', () => {
    const named = readFileSync(join(packed.folder, 'dist', 'THIRD-PARTY-LICENSES.txt'), 'utf8')
    const imported = readSources()
      .flatMap(({ imports }) => imports)
      .filter(({ file, from }) => file === undefined && !from.startsWith('node:'))
      .map(({ from }) => /^(?:@[^/]+\/)?[^/]+/.exec(from)?.[0] ?? '')
      .filter((name) => !Object.hasOwn(manifest.peerDependencies, name))
    // The last two are imported by cors.
    const contained = new Set([...imported, 'object-assign', 'vary'])
    const missing = [...contained].filter(
      (name) => !new RegExp(`\\n${name} \\d+\\.\\d+\\.\\d+, `).test(named),
    )
    expect(missing).toEqual([])
    expect(contained.size).toBeGreaterThan(5)
    expect(named).toContain('Mozilla Public License, v. 2.0')
  })
})

describe('bundled by an application', () => {
  it('a guard with a policy source and a memory store takes at most 350 KiB', async () => {
    const project = await packed.project({})
    await writeFile(
      join(project.folder, 'app.mjs'),
      `import { createPolicySource, ipWhitelist, memoryStore } from 'portcullis'
      const policies = createPolicySource({ store: memoryStore([
        { policy: { appId: 'a', domainProtect: { mode: 'enforce', domains: ['https://*.example.org'] } } },
      ]) })
      const app = await policies.load?.('a')
      console.log(typeof ipWhitelist({ policies }), app === undefined)`,
    )
    const outfile = join(project.folder, 'bundle.mjs')
    const options = {
      bundle: true,
      minify: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    } as const
    await build({ ...options, entryPoints: [join(project.folder, 'app.mjs')], outfile })
    const { size } = statSync(outfile)
    console.info(`bundle ${(size / 1_024).toFixed(0)} KiB`)
    expect(size).toBeLessThanOrEqual(350 * 1_024)
    expect(await must(process.execPath, [outfile], project.folder)).toMatch(/^function/)
  }, 300_000)
})

describe('from git', () => {
  it('npm builds the package from the contents of the repository', async () => {
    const clone = await mkdtemp(join(tmpdir(), 'portcullis-clone-'))
    try {
      // The files that a commit of this work tree would contain.
      const list = await must('git', ['ls-files', '--cached', '--others', '--exclude-standard'], repository)
      const present = list.split('\n').filter((name) => name !== '' && name !== 'node_modules')
      for (const name of present) {
        await mkdir(dirname(join(clone, name)), { recursive: true })
        await cp(join(repository, name), join(clone, name)).catch((error: NodeJS.ErrnoException) => {
          // Removed, but not yet committed.
          if (error.code !== 'ENOENT') throw error
        })
      }
      // npm installs the devDependencies before it runs `prepare`.
      await symlink(join(repository, 'node_modules'), join(clone, 'node_modules'), 'dir')
      await must('npm', ['pack'], clone)
      const tarball = readdirSync(clone).find((name) => name.endsWith('.tgz')) ?? ''
      const packedFiles = await must('tar', ['-tzf', join(clone, tarball)], clone)
      const expected = filesIn(packed.folder).map((name) => `package/${name}`)
      expect(packedFiles.split('\n').toSorted()).toEqual(expected.toSorted())
    } finally {
      await rm(clone, { recursive: true, force: true })
    }
  }, 300_000)
})

describe('with TypeScript 5 and `moduleResolution: node`', () => {
  it('every subpath has its types', async () => {
    const links = ['express', '@types/express', '@types/node', 'ioredis']
    const project = await packed.project(Object.fromEntries(links.map((name) => [name, name])))
    const program = subpaths.map((name, index) => `import * as all${index} from '${name}'`)
    const uses = subpaths.map((_, index) => `all${index}`)
    await writeFile(
      join(project.folder, 'app.ts'),
      `${program.join('\n')}
      import schema from 'portcullis/policy.schema.json'
      import { ipWhitelist, type Decision } from 'portcullis'
      import { redisStore } from 'portcullis/redis'
      export const title: string = schema.title
      export const all: object[] = [${uses.join(', ')}]
      // @ts-expect-error -- the type is known, and not any
      export const wrong: number = redisStore
      export const told = (policies: Parameters<typeof ipWhitelist>[0]['policies'], tell: (code: Decision['code']) => void) =>
        ipWhitelist({ policies, onReport: (decision) => tell(decision.code) })`,
    )
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2023'],
      module: 'commonjs',
      moduleResolution: 'node',
      esModuleInterop: true,
      resolveJsonModule: true,
      types: ['node'],
      noEmit: true,
      strict: true,
      skipLibCheck: false,
    }
    await writeFile(
      join(project.folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, include: ['app.ts'] }),
    )
    const { output } = await run(process.execPath, [
      compilerFive(),
      '-p',
      project.folder,
      '--pretty',
      'false',
    ])
    expect(output).toBe('')
  }, 300_000)
})

/** The TypeScript compiler of attw. One in the devDependencies would conflict with the name `tsc`. */
function compilerFive(): string {
  const cli = createRequire(join(repository, 'node_modules', '@arethetypeswrong', 'cli', 'package.json'))
  const core = createRequire(cli.resolve('@arethetypeswrong/core'))
  const path = core.resolve('typescript/package.json')
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string }
  if (!version.startsWith('5.')) throw new Error(`attw brings TypeScript ${version}`)
  return join(dirname(path), 'lib', 'tsc.js')
}
