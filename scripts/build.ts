// Builds dist/esm and dist/cjs: the compiler twice, and what it leaves undone.
import { spawn } from 'node:child_process'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { policyJsonSchema } from './policy-schema.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
const compiler = join(
  dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  'bin',
  'tsc',
)

async function compiles(project: string): Promise<boolean> {
  const child = spawn(process.execPath, [compiler, '-p', project], { cwd: root, stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code === 0))
  })
}

/** The compiler turns `./x.ts` into `./x.js` in the JavaScript only. */
async function renameImportsOfDeclarations(): Promise<void> {
  const relativeImport = /((?:from |import\(|import )['"]\.{1,2}\/[^'"\n]*)\.ts(['"])/g
  for (const name of await readdir(dist, { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue
    const file = join(dist, name)
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll(relativeImport, '$1.js$2'))
  }
}

await rm(dist, { recursive: true, force: true })
const both = await Promise.all(['tsconfig.build.json', 'tsconfig.cjs.json'].map(compiles))
if (both.every(Boolean)) {
  await renameImportsOfDeclarations()
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
