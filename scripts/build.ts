// Builds dist/esm and dist/cjs: modules by esbuild, declarations by the compiler, and the JSON Schema of a policy.
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transform, type Plugin } from 'esbuild'
import { bundleDashboard, keepDashboard } from './dashboard-bundle.ts'
import { thirdPartyLicences } from './licences.ts'
import { policyJsonSchema } from './policy-schema.ts'

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest

/** `index`, `redis/index`, and so on. */
const entries = Object.keys(manifest.exports)
  .filter((name) => !name.endsWith('.json'))
  .map((name) => join(name, 'index'))

/** `cli/main`: programs. They and what only they need are ESM alone. */
const programs = Object.values(manifest.bin).map((path) => relative('dist/esm', path).replace(/\.js$/, ''))

/**
 * Modules that get files of their own although no entry is one. npm packs files of one name side by side, and of two files of
 * less than 32 KB the second takes next to nothing: what dist/esm and dist/cjs have alike is compressed once.
 * None is needed by `index`: each file makes its start longer.
 */
const PARTS = ['console/openapi', 'console/routes/drafts', 'region/regional-store']

const TARGET = 'node20.19'

/** Lines stay, so that a stack trace says something. Names of what is not exported are short: the tarball is a tenth smaller. */
const SMALL = {
  target: TARGET,
  minifyWhitespace: true,
  minifySyntax: true,
  minifyIdentifiers: true,
  lineLimit: 400,
} as const

async function compiles(project: string): Promise<boolean> {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json')
  const command = [join(dirname(compiler), 'bin', 'tsc'), '-p', project]
  const child = spawn(process.execPath, command, { cwd: root, stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code === 0))
  })
}

/**
 * Modules of nothing but data, which are long. They are built once, as CommonJS, which both builds read: each is a third of the
 * tarball otherwise.
 */
const dataModules: Plugin = {
  name: 'data-modules',
  setup({ onResolve }) {
    onResolve(
      { filter: /\/(public-suffix-list|hostile-\w+|rightful-\w+|\w+-origins|dashboard-files)\.ts$/ },
      async (found) => {
        const name = basename(found.path, '.ts')
        const source = await readFile(join(found.resolveDir, found.path), 'utf8')
        const { code } = await transform(source, {
          loader: 'ts',
          format: 'cjs',
          platform: 'node',
          ...SMALL,
        })
        if (code.includes('require(')) throw new Error(`${found.path} is not only data`)
        await mkdir(join(dist, 'cjs', 'data'), { recursive: true })
        await writeFile(join(dist, 'cjs', 'data', `${name}.js`), code)
        return { path: `#data/${name}.js`, external: true }
      },
    )
  },
}

/** Puts the place of the data modules in, as it is seen from `folder`. */
function withPlaces(code: string, folder: string): string {
  const place = relative(folder, join(dist, 'cjs', 'data'))
  return code.replaceAll(/"#data\/([\w-]+\.js)"/g, `"${place.startsWith('.') ? place : `./${place}`}/$1"`)
}

/**
 * The modules of all entries in a few files, with what they use of other packages: to find and read two hundred modules and six
 * packages takes longer than to run them. Returns the paths of what was taken in, and of what only programs need.
 */
async function bundle(): Promise<{
  readonly inputs: readonly string[]
  readonly ofPrograms: ReadonlySet<string>
}> {
  const { metafile } = await build({
    entryPoints: Object.fromEntries(
      [...entries, ...programs, ...PARTS].map((entry) => [entry, join(root, 'src', `${entry}.ts`)]),
    ),
    absWorkingDir: root,
    outdir: join(dist, 'esm'),
    chunkNames: 'chunk-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    ...SMALL,
    external: Object.keys(manifest.peerDependencies),
    // Else the names of chunks would depend on where node_modules is.
    preserveSymlinks: true,
    plugins: [dataModules],
    metafile: true,
    logLevel: 'warning',
  })
  const files = (from: readonly string[]): ReadonlySet<string> => {
    const reached = new Set(from.map((entry) => join('dist', 'esm', `${entry}.js`)))
    for (const output of reached)
      for (const { path, external } of metafile.outputs[output]?.imports ?? [])
        if (external !== true) reached.add(path)
    return reached
  }
  const [ofEntries, ofAll] = [files(entries), files([...entries, ...programs])]
  const ofPrograms = [...ofAll]
    .filter((output) => !ofEntries.has(output))
    .map((output) => relative(join('dist', 'esm'), output))
  // A part is in a file that others share; the one that has its name only hands that on.
  for (const output of Object.keys(metafile.outputs)) if (!ofAll.has(output)) await rm(join(root, output))
  return { inputs: Object.keys(metafile.inputs), ofPrograms: new Set(ofPrograms) }
}

/** Module by module, so that what several entries share is shared in dist/cjs too. Names stay as they are, so that both read alike. */
async function convertToCommonJs(ofPrograms: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(join(dist, 'esm'), { recursive: true })) {
    if (!name.endsWith('.js')) continue
    const source = await readFile(join(dist, 'esm', name), 'utf8')
    const folders = ['esm', 'cjs'].map((format) => dirname(join(dist, format, name)))
    await writeFile(join(dist, 'esm', name), withPlaces(source, folders[0] ?? ''))
    if (ofPrograms.has(name)) continue
    const { code } = await transform(source, {
      format: 'cjs',
      platform: 'node',
      ...SMALL,
      minifyIdentifiers: false,
    })
    await mkdir(dirname(join(dist, 'cjs', name)), { recursive: true })
    await writeFile(join(dist, 'cjs', name), withPlaces(code, folders[1] ?? ''))
  }
}

const COMMENT = /^[ \t]*\/\*\*[\s\S]*?\*\/\n/gm
const HANDED_ON = /^export (?:type )?(?:\*|\{[^}]*\}) from ['"](\.{1,2}\/[^'"]*)\.ts['"]/gm
const RELATIVE_IMPORT = /((?:from |import\(|import )['"])(\.{1,2}\/[^'"\n]*)\.ts(['"])/g
/** TypeScript takes these since 5.7. Without them both mean the same to those who call. */
const GENERIC_BYTES = /\b(Uint8Array|Buffer)<ArrayBuffer(?:Like)?>/g

/**
 * Keeps the declarations that an entry reaches, in dist/cjs. Those of dist/esm hand them on: a module may import CommonJS, and so
 * they are the same types in both. Comments stay in modules that an entry exports from; nobody sees those of others. The compiler turns `./x.ts` into `./x.js` in the JavaScript only.
 */
async function gatherDeclarations(from: string): Promise<void> {
  const reached = new Set(entries)
  const told = new Set(entries)
  for (const name of told) {
    const source = await readFile(join(from, `${name}.d.ts`), 'utf8')
    for (const [, path = ''] of source.matchAll(HANDED_ON)) told.add(join(dirname(name), path))
  }
  for (const name of reached) {
    const source = await readFile(join(from, `${name}.d.ts`), 'utf8')
    for (const [, , path = ''] of source.matchAll(RELATIVE_IMPORT)) reached.add(join(dirname(name), path))
    const file = join(dist, 'cjs', `${name}.d.ts`)
    await mkdir(dirname(file), { recursive: true })
    const text = told.has(name) ? source : source.replaceAll(COMMENT, '')
    await writeFile(file, text.replaceAll(RELATIVE_IMPORT, '$1$2.js$3').replaceAll(GENERIC_BYTES, '$1'))
  }
  for (const entry of entries) {
    const folder = join(dist, 'esm', dirname(entry))
    const target = relative(folder, join(dist, 'cjs', `${entry}.js`))
    await writeFile(join(folder, 'index.d.ts'), `export * from '${target}'\n`)
  }
}

await rm(dist, { recursive: true, force: true })
const dashboard = await bundleDashboard(root)
await keepDashboard(root, dashboard)
if (await compiles('tsconfig.build.json')) {
  const declarations = join(dist, 'declarations')
  const { inputs, ofPrograms } = await bundle()
  await convertToCommonJs(ofPrograms)
  await gatherDeclarations(declarations)
  await rm(declarations, { recursive: true })
  await writeFile(
    join(dist, 'THIRD-PARTY-LICENSES.txt'),
    await thirdPartyLicences(root, [...inputs, ...dashboard.inputs]),
  )
  // dist/esm gets no package.json of its own: bundlers read the nearest one, and it would hide `sideEffects`.
  await writeFile(
    join(dist, 'policy.schema.json'),
    `${JSON.stringify(policyJsonSchema(join(root, 'src', 'policy')), null, 2)}\n`,
  )
  await writeFile(join(dist, 'cjs', 'package.json'), '{"type":"commonjs","sideEffects":false}\n')
} else {
  console.error('build: the sources do not compile')
  process.exitCode = 1
}
