import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'

/** A place in the sources of a project. */
export interface Place {
  /** From the folder of the project on. */
  readonly file: string
  readonly line: number
  readonly text: string
}

/** What can be seen of a project without running it. */
export interface Project {
  readonly name: string | undefined
  /** The version of Express that is installed, or else the range that package.json asks for. */
  readonly express: string | undefined
  readonly modules: 'esm' | 'commonjs'
  readonly typescript: boolean
  /** Where `trust proxy` is set, with its value as it is written. */
  readonly trustProxy: readonly Place[]
  /** Files that make an Express application. */
  readonly applications: readonly string[]
  /** Where guards and others are mounted, file by file, in the order in which they stand there. */
  readonly mounts: readonly Mount[]
}

/** A call of `use`, `get` and so on that mounts guards, or something that must not stand beside them. */
export interface Mount extends Place {
  /** Its path; `/` if it has none, or one that is not a string. */
  readonly path: string
  /** Names of guards, `bodyParsers` and `protect`, in the order in which they stand there. */
  readonly guards: readonly string[]
  /** `cors`, and body parsers that keep no raw bytes. */
  readonly others: readonly Other[]
}

export interface Other {
  readonly name: string
  /** How many of `guards` stand ahead of it. */
  readonly after: number
}

const SOURCE = /\.(?:[cm]?[jt]s)$/
const NOT_SOURCES: ReadonlySet<string> = new Set([
  'node_modules',
  'dist',
  'build',
  'coverage',
  'test',
  'tests',
])
const MOST_FILES = 500
const MOUNTED =
  /\b(auditAccess|regionPin|ipWhitelist|domainProtect|bodyParsers|serverOnly|returnUrlGuard|protect)\s*\(/g

const OTHERS = /\b(cors|(?:express|bodyParser)\.(?:json|urlencoded|text|raw))\s*\(/g

interface Manifest {
  readonly name?: unknown
  readonly type?: unknown
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

/** Looks at the project in a folder; `undefined` where there is no package.json that can be read. */
export async function inspectProject(folder: string): Promise<Project | undefined> {
  const manifest = await readManifest(join(folder, 'package.json'))
  if (manifest === undefined) return undefined
  const packages = { ...manifest.devDependencies, ...manifest.dependencies }
  const files = await sourcesIn(folder)
  const sources = await Promise.all(
    files.map(async (path) => ({
      file: relative(folder, path),
      text: await readFile(path, 'utf8').catch(() => ''),
    })),
  )
  const installed = await readManifest(join(folder, 'node_modules', 'express', 'package.json'))
  const { version } = (installed ?? {}) as { readonly version?: string }
  return {
    name: typeof manifest.name === 'string' ? manifest.name : undefined,
    express: version ?? packages['express'],
    modules: manifest.type === 'module' ? 'esm' : 'commonjs',
    typescript: packages['typescript'] !== undefined || files.some((path) => path.endsWith('.ts')),
    trustProxy: sources.flatMap(({ file, text }) =>
      [...text.matchAll(/\.set\(['"]trust proxy['"],([^\n]*)/g)].map(({ 1: rest = '', index }) => ({
        file,
        line: lineAt(text, index),
        text: argumentIn(rest),
      })),
    ),
    applications: sources.filter(({ text }) => /\bexpress\(\)/.test(text)).map(({ file }) => file),
    mounts: sources.flatMap(({ file, text }) => mountsIn(file, text)),
  }
}

/** What stands in front of the last bracket of a line, without the comment behind it. */
function argumentIn(line: string): string {
  const [code = ''] = line.split('//', 1)
  const end = code.lastIndexOf(')')
  return (end === -1 ? code : code.slice(0, end)).trim()
}

async function readManifest(path: string): Promise<Manifest | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Manifest
  } catch {
    return undefined
  }
}

async function sourcesIn(folder: string): Promise<readonly string[]> {
  const found: string[] = []
  const folders = [folder]
  for (const current of folders) {
    const entries = await readdir(current, { withFileTypes: true }).catch(() => [])
    for (const entry of entries) {
      if (entry.name.startsWith('.') || NOT_SOURCES.has(entry.name)) continue
      const path = join(current, entry.name)
      if (entry.isDirectory()) folders.push(path)
      else if (entry.isFile() && SOURCE.test(entry.name) && !entry.name.endsWith('.d.ts')) found.push(path)
      if (found.length >= MOST_FILES) return found
    }
  }
  return found
}

/** Calls of `use`, `get` and so on that have guards among what they mount, or others of which guards must know. */
function mountsIn(file: string, text: string): Mount[] {
  return [...text.matchAll(/\.(?:use|all|get|post|put|patch|delete)\(/g)].flatMap(({ index }) => {
    if (isComment(text, index)) return []
    const call = callAt(text, index)
    const guards = [...call.matchAll(MOUNTED)]
    // A parser whose `verify` calls `keepBody` hands the raw bytes on.
    const others = [...call.matchAll(OTHERS)].filter(
      (match) => !callAt(call, match.index).includes('keepBody'),
    )
    if (guards.length + others.length === 0) return []
    return [
      {
        file,
        line: lineAt(text, index),
        text: call,
        path: /^\.\w+\(\s*['"`]([^'"`]*)['"`]/.exec(call)?.[1] ?? '/',
        guards: guards.map(([, name = '']) => name),
        others: others.map(({ 1: name = '', index: at }) => ({
          name,
          after: guards.filter((guard) => guard.index < at).length,
        })),
      },
    ]
  })
}

/** Whether a place stands behind `//` on its line, or on a line of a comment between `/*` and its end. */
function isComment(text: string, index: number): boolean {
  const line = text.slice(text.lastIndexOf('\n', index) + 1, index)
  return /^\s*(?:\/\/|\/?\*)/.test(line)
}

/** A call from its name to its closing bracket. Brackets in strings are rare enough where guards are mounted. */
function callAt(text: string, start: number): string {
  let depth = 0
  for (let index = start; index < text.length; index += 1) {
    if (text[index] === '(') depth += 1
    if (text[index] !== ')') continue
    depth -= 1
    if (depth === 0) return text.slice(start, index + 1)
  }
  return ''
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}
