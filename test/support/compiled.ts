import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { transformSync } from '@swc/core'
import { buildSync } from 'esbuild'
import { cache, repository } from './commands.ts'

/** The folders that a helper process may import. */
const FOLDERS = ['src', 'test', 'example-server']
const VERSION = 'swc-1'
/** An option of swc that is missing in its types: it changes `./x.ts` to `./x.js`. */
const REWRITTEN: object = { rewriteRelativeImportExtensions: true }

let compiledInto: string | undefined

/**
 * The path of the compiled JavaScript of a program in this repository, such as `test/support/nonce-flood.ts`. All
 * sources are compiled together, once after each change. If every process compiled its own sources, each would need
 * more than half a second of CPU time, and there are hundreds of them.
 */
export function compiled(program: string): string {
  compiledInto ??= compileAll()
  return join(compiledInto, javaScript(program))
}

const bundles = new Map<string, string>()

/**
 * The path of a program and all its sources in one file, which starts with half the CPU time of {@link compiled}. It is
 * meant for programs of many files that many tests start. Do not use it if it matters which module a function is in.
 */
export function bundled(program: string): string {
  let file = bundles.get(program)
  if (file === undefined) bundles.set(program, (file = bundle(compiled(program))))
  return file
}

function bundle(program: string): string {
  const root = (compiledInto ??= compileAll())
  const folder = join(root, 'bundled', relative(root, program).replace(/\.js$/, ''))
  const file = join(folder, basename(program))
  if (existsSync(file)) return file

  mkdirSync(dirname(folder), { recursive: true })
  const work = mkdtempSync(`${folder}-`)
  const { name, exports, packages } = readManifest()
  buildSync({
    entryPoints: [program],
    outdir: work,
    bundle: true,
    // What the program imports when it needs it stays in files of its own.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: packages,
    alias: Object.fromEntries(
      doorsOf(exports).map((door) => [
        door.replace('.', name),
        join(root, javaScript(join('src', door, 'index.ts'))),
      ]),
    ),
    logLevel: 'error',
  })
  moved(work, folder)
  return file
}

function compileAll(): string {
  const sources = new Map(
    FOLDERS.flatMap(typeScriptOf).map((path) => [path, readFileSync(join(repository, path))]),
  )
  const digest = createHash('sha256').update(VERSION)
  for (const [path, bytes] of sources) digest.update(`${path}\0${bytes.length}\0`).update(bytes)
  const folder = join(cache, 'compiled', digest.digest('hex').slice(0, 32))
  if (existsSync(folder)) return folder

  mkdirSync(dirname(folder), { recursive: true })
  removeOld(dirname(folder))
  const work = mkdtempSync(`${folder}-`)
  for (const [path, bytes] of sources) {
    const target = join(work, javaScript(path))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, compile(path, bytes.toString()))
  }
  writeFileSync(join(work, 'package.json'), JSON.stringify(manifest()))
  return moved(work, folder)
}

/** Gives a complete folder its name. Another worker may have written the same content first. */
function moved(work: string, folder: string): string {
  try {
    renameSync(work, folder)
  } catch (error) {
    rmSync(work, { recursive: true, force: true })
    if (!existsSync(folder)) throw error
  }
  return folder
}

/** Removes the output of earlier states of the sources, which no process can still use. */
function removeOld(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (age > 3_600_000) rmSync(path, { recursive: true, force: true })
  }
}

function compile(path: string, source: string): string {
  const { code } = transformSync(source, {
    filename: join(repository, path),
    swcrc: false,
    jsc: {
      parser: { syntax: 'typescript' },
      target: 'es2023',
      ...REWRITTEN,
    },
    module: { type: 'es6' },
    sourceMaps: 'inline',
  })
  return code
}

/** A package.json with which these files can import the package by its name. */
function manifest(): object {
  const { name, exports } = readManifest()
  return {
    name,
    type: 'module',
    exports: Object.fromEntries(doorsOf(exports).map((door) => [door, `./${join('src', door, 'index.js')}`])),
  }
}

function readManifest(): { name: string; exports: Record<string, unknown>; packages: string[] } {
  const { name, exports, devDependencies } = JSON.parse(
    readFileSync(join(repository, 'package.json'), 'utf8'),
  ) as { name: string; exports: Record<string, unknown>; devDependencies: Record<string, string> }
  return { name, exports, packages: Object.keys(devDependencies) }
}

function doorsOf(exports: Record<string, unknown>): string[] {
  return Object.keys(exports).filter((door) => door !== './package.json')
}

/** Leaves out what a test that runs at the same time has copied into a folder with a dot. */
function typeScriptOf(folder: string): string[] {
  return readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .filter((path) => !/(?:^|[/\\])(?:node_modules|\..*)[/\\]/.test(path))
    .map((path) => join(folder, path))
    .sort()
}

function javaScript(path: string): string {
  return path.replace(/\.ts$/, '.js')
}
