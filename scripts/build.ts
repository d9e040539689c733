// Builds dist: modules with esbuild, declarations with the TypeScript compiler, and the JSON Schema of a policy.
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runInThisContext } from 'node:vm'
import { brotliCompressSync, constants } from 'node:zlib'
import { minify } from '@swc/core'
import { build, transform, type Metafile, type Plugin } from 'esbuild'
import { bundleDashboard, keepDashboard } from './dashboard-bundle.ts'
import { rollDeclarations } from './declarations.ts'
import { thirdPartyLicences } from './licences.ts'
import { inBothFormats, withLines } from './module-formats.ts'
import { policyJsonSchema } from './policy-schema.ts'

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest

/**
 * The entries of the package, such as `index` and `redis`, with their sources. Names must be unique, because files are
 * named after them.
 */
const entries = new Map(
  Object.keys(manifest.exports)
    .filter((name) => !name.endsWith('.json'))
    .map((name) => [name === '.' ? 'index' : basename(name), join(name, 'index')]),
)

/** The programs, such as `cli/main`. They and the modules that only they use are built only as CommonJS. */
const programs = Object.values(manifest.bin).map((path) => relative('dist/cjs', path).replace(/\.js$/, ''))

/**
 * Modules that get files of their own although they are not entries. npm packs files of the same name next to each
 * other, and gzip finds repetitions within 32 KB, so the second of two similar files below this size takes almost no
 * space. dist/esm and dist/cjs contain such pairs, and a test of the tarball reports files that have become too large.
 * But each further file that `index` loads makes its start slower.
 */
const PARTS = [
  'console/openapi',
  'console/routes/drafts',
  'console/routes/judgement',
  'console/routes/events',
  'console/routes/keys',
  'console/routes/lists',
  'source/policy-source',
  'policy/sections/domain-protect',
  'audit/log/audit-log',
  'http/audit-access',
  'http/evidence-words',
  'http/request-reads',
  'match/ip-difference',
  'match/ip-set',
  'lint/addresses',
  'lint/origins',
  'http/remedies',
  'http/server-only',
  'http/setup-checks',
]

const CHUNK = /^chunk-\w{8}\.js$/
const CHUNKS = /\bchunk-\w{8}\.js\b/g

const TARGET = 'node20.19'

/** Identifiers that are not exported are shortened, which makes the tarball ten percent smaller. */
const SMALL = {
  target: TARGET,
  minifyWhitespace: true,
  minifySyntax: true,
  minifyIdentifiers: true,
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
 * Large modules that contain only data. They are built once, as CommonJS, and both builds load them; otherwise each
 * would take a third of the tarball. Their text is compressed with Brotli, which compresses it better than the gzip of
 * the tarball. The corpora share one file, because they are similar.
 */
const dataModules: Plugin = {
  name: 'data-modules',
  setup({ onResolve, onEnd }) {
    const files = new Map<string, Map<string, string>>()
    onResolve(
      { filter: /\/(public-suffix-list|hostile-\w+|rightful-\w+|\w+-origins|dashboard-files)\.ts$/ },
      async (found) => {
        const name = basename(found.path, '.ts')
        const file = /origins|hostile|rightful/.test(name) ? 'corpora' : name
        const source = await readFile(join(found.resolveDir, found.path), 'utf8')
        files.set(file, (files.get(file) ?? new Map<string, string>()).set(name, source))
        return { path: `#data/${file}.js`, external: true }
      },
    )
    onEnd(async () => {
      await mkdir(join(dist, 'cjs', 'data'), { recursive: true })
      for (const [file, sources] of files)
        await writeFile(join(dist, 'cjs', 'data', `${file}.js`), await dataFile([...sources.values()]))
    })
  },
}

/**
 * One CommonJS module with everything that these data modules export. It loads `node:zlib` with
 * `process.getBuiltinModule`, because `require` does not exist if a bundler turns it into an ES module. Only Node
 * before 22.3, which lacks `getBuiltinModule`, uses `require`.
 */
async function dataFile(sources: readonly string[]): Promise<string> {
  const data: Record<string, unknown> = {}
  for (const source of sources) {
    const { code } = await transform(source, { loader: 'ts', format: 'cjs', platform: 'node', ...SMALL })
    if (code.includes('require(')) throw new Error('a data module imports another module')
    const run = runInThisContext(`(module) => {${code}}`) as (module: { exports: object }) => void
    const module = { exports: {} }
    run(module)
    Object.assign(data, module.exports)
  }
  const text = Buffer.from(JSON.stringify(data))
  const packed = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: text.length } })
  const notices = sources.flatMap((source) => /\/\*!.*?\*\//s.exec(source) ?? [])
  return `"use strict";
${notices.map((notice) => `${notice}\n`).join('')}const { brotliDecompressSync } = (process.getBuiltinModule ?? require)('node:zlib')
const data = JSON.parse(brotliDecompressSync(Buffer.from('${packed.toString('base64')}', 'base64')).toString())
${Object.keys(data)
  .map((name) => `exports.${name} = data.${name}`)
  .join('\n')}
`
}

/**
 * Replaces zod's functions that write JSON Schemas with empty ones. Every schema refers to them, so a bundler cannot
 * remove them, but the package does not need them: this build writes its JSON Schema.
 */
const noJsonSchemas: Plugin = {
  name: 'no-json-schemas',
  setup({ onLoad }) {
    onLoad(
      { filter: /\/zod\/v4\/core\/(?:to-json-schema|json-schema-processors)\.js$/ },
      async ({ path }) => {
        const source = await readFile(path, 'utf8')
        const names = [...source.matchAll(/^export (?:function|const) (\w+)/gm)].map(([, name = '']) => name)
        const contents = names.map((name) => `export const ${name} = () => {}`).join('\n')
        return { contents: contents.replace('processSchema', (name) => `${name} = () => {}, process`) }
      },
    )
  },
}

/** Replaces the names of data modules with their paths, relative to `folder`. */
function withPlaces(code: string, folder: string): string {
  const place = relative(folder, join(dist, 'cjs', 'data'))
  return code.replaceAll(/"#data\/([\w-]+\.js)"/g, `"${place.startsWith('.') ? place : `./${place}`}/$1"`)
}

/**
 * Bundles the modules of all entries, and the code that they use from other packages, into a few files, because finding
 * and reading two hundred modules and six packages takes longer than running them. Returns the paths of the bundled
 * sources, and of the files that only programs need.
 */
async function bundle(): Promise<{
  readonly inputs: readonly string[]
  readonly ofPrograms: ReadonlySet<string>
}> {
  const sources = new Map([...entries, ...[...programs, ...PARTS].map((path) => [path, path] as const)])
  const { metafile } = await build({
    entryPoints: Object.fromEntries(
      [...sources].map(([name, path]) => [name, join(root, 'src', `${path}.ts`)]),
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
    // Otherwise the names of chunks would depend on the location of node_modules.
    preserveSymlinks: true,
    plugins: [dataModules, noJsonSchemas],
    metafile: true,
    logLevel: 'warning',
  })
  const ofEntries = outputsFrom(metafile, entries.keys())
  const ofAll = outputsFrom(metafile, [...entries.keys(), ...programs])
  const ofPrograms = [...ofAll]
    .filter((output) => !ofEntries.has(output))
    .map((output) => relative(join('dist', 'esm'), output))
  // The code of a part is in a shared chunk. The file named after the part only re-exports it, and nothing loads it.
  for (const output of Object.keys(metafile.outputs)) if (!ofAll.has(output)) await rm(join(root, output))
  return { inputs: Object.keys(metafile.inputs), ofPrograms: new Set(ofPrograms) }
}

/** The files of the entries, and all files that they load. */
function outputsFrom(metafile: Metafile, from: Iterable<string>): ReadonlySet<string> {
  const reached = new Set([...from].map((entry) => join('dist', 'esm', `${entry}.js`)))
  for (const output of reached)
    for (const { path, external } of metafile.outputs[output]?.imports ?? [])
      if (external !== true) reached.add(path)
  return reached
}

/** Minifies a module further than esbuild does. Each declaration gets its own line, so that stack traces are useful. */
async function smaller(source: string): Promise<string> {
  const shebang = /^#!.*\n/.exec(source)?.[0] ?? ''
  const { code } = await minify(source.slice(shebang.length), {
    module: true,
    ecma: 2022,
    compress: { passes: 2, inline: 0, reduce_funcs: false },
    mangle: { toplevel: true },
  })
  return `${shebang}${await withLines(code)}`
}

/**
 * Node runs dist/cjs for both `import` and `require`, so a process has only one copy of the package, and loads it
 * faster. dist/node re-exports dist/cjs for `import`. dist/esm is for bundlers.
 */
async function writeModules(ofPrograms: ReadonlySet<string>): Promise<void> {
  const hands = new Set([...entries.keys()].map((entry) => `${entry}.js`))
  await mkdir(join(dist, 'node'))
  const written = await readdir(join(dist, 'esm'), { recursive: true })
  const built = written.filter((name) => name.endsWith('.js')).toSorted()
  // Chunks are numbered, because hashes do not compress and each import repeats one.
  const numbers = new Map(
    built.filter((name) => CHUNK.test(name)).map((name, index) => [name, `${index}.js`]),
  )
  for (const builtName of built) {
    const name = numbers.get(builtName) ?? builtName
    const module = join(dist, 'esm', name)
    const text = await readFile(join(dist, 'esm', builtName), 'utf8')
    const { esm, cjs, names } = await inBothFormats(
      await smaller(text.replaceAll(CHUNKS, (chunk) => numbers.get(chunk) ?? chunk)),
    )
    await rm(join(dist, 'esm', builtName))
    const folders = ['esm', 'cjs'].map((format) => dirname(join(dist, format, name)))
    if (!ofPrograms.has(builtName)) await writeFile(module, withPlaces(esm, folders[0] ?? ''))
    await mkdir(folders[1] ?? '', { recursive: true })
    await writeFile(join(dist, 'cjs', name), withPlaces(cjs, folders[1] ?? ''))
    if (hands.has(name))
      await writeFile(
        join(dist, 'node', name),
        `import module from '../cjs/${name}'\nexport const { ${names.join(', ')} } = module\n`,
      )
  }
}

/**
 * Writes the declarations to dist/cjs. Those of dist/esm re-export them, which is allowed because a module may import
 * CommonJS, so both have the same types.
 */
async function writeDeclarations(from: string): Promise<void> {
  await rollDeclarations(from, join(dist, 'cjs'), entries)
  // Tabs take less of the tarball than spaces.
  for (const name of await readdir(join(dist, 'cjs'), { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue
    const file = join(dist, 'cjs', name)
    const text = await readFile(file, 'utf8')
    await writeFile(
      file,
      text.replaceAll(/^(?: {4})+/gm, (spaces) => '\t'.repeat(spaces.length / 4)),
    )
  }
  for (const entry of entries.keys())
    await writeFile(join(dist, 'esm', `${entry}.d.ts`), `export * from '../cjs/${entry}.js'\n`)
}

await rm(dist, { recursive: true, force: true })
const dashboard = await bundleDashboard(root)
await keepDashboard(root, dashboard)
if (await compiles('tsconfig.build.json')) {
  const declarations = join(dist, 'declarations')
  const { inputs, ofPrograms } = await bundle()
  await writeModules(ofPrograms)
  await writeDeclarations(declarations)
  await rm(declarations, { recursive: true })
  await writeFile(
    join(dist, 'THIRD-PARTY-LICENSES.txt'),
    await thirdPartyLicences(root, [...inputs, ...dashboard.inputs]),
  )
  // dist/esm has no package.json, because bundlers read the nearest one, and it would hide `sideEffects`.
  await writeFile(
    join(dist, 'policy.schema.json'),
    `${JSON.stringify(policyJsonSchema(join(root, 'src', 'policy')), null, 2)}\n`,
  )
  await writeFile(join(dist, 'cjs', 'package.json'), '{"type":"commonjs","sideEffects":false}\n')
} else {
  console.error('build: the sources do not compile')
  process.exitCode = 1
}
