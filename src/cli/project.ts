import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'

/** A place in the sources of a project. */
export interface Place {
  /** The path from the folder of the project. */
  readonly file: string
  readonly line: number
  readonly text: string
}

/** What the sources of a project show without running it. */
export interface Project {
  readonly name: string | undefined
  /** The installed version of Express, or otherwise the range in package.json. */
  readonly express: string | undefined
  readonly modules: 'esm' | 'commonjs'
  readonly typescript: boolean
  /** Where `trust proxy` is set, with its value as source text. */
  readonly trustProxy: readonly Place[]
  /** Files that create an Express application. */
  readonly applications: readonly string[]
  /** Where guards and other middleware are mounted, file by file, in order. */
  readonly mounts: readonly Mount[]
  /** Where each of these is first called or, for an option, given. */
  readonly uses: ReadonlyMap<string, Place>
  /** Where the value of a secret is written into the code. The text is its name. */
  readonly secrets: readonly Place[]
}

/** A call of `use`, `get` and so on that mounts guards, or something that conflicts with them. */
export interface Mount extends Place {
  /** Its path; `/` if it has no path, or one that is not a string. */
  readonly path: string
  /** The names of guards, `bodyParsers` and `protect`, in order. */
  readonly guards: readonly string[]
  /** `cors`, and body parsers that do not keep the raw bytes. */
  readonly others: readonly Other[]
}

export interface Other {
  readonly name: string
  /** How many of `guards` come before it. */
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

const USED = /\b(auditLog|createSealer|regionPin|regionalStore|protect)\s*\(|\b(jurisdictions)\s*:/g

/** A name with a value of at least 40 characters of base64 or hexadecimal, which is the least that a secret of 32 bytes has. */
const SECRET =
  /\b(\w{0,60}(?:secret|key|password|token))['"]?\s{0,9}[:=]\s{0,9}(?:Buffer\.from\(\s{0,9})?['"`]([\w+/-]{40,400}={0,2})['"`]/gi
const PRIVATE_KEY = /-----BEGIN (?:\w+ )?(PRIVATE KEY)-----/g

interface Manifest {
  readonly name?: unknown
  readonly type?: unknown
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

/** Inspects the project in a folder; `undefined` if there is no readable package.json. */
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
    // The first place of each, because a map keeps the last one.
    uses: new Map(
      sources
        .flatMap(({ file, text }) => usesIn(file, text))
        .toReversed()
        .map((place) => [place.text, place]),
    ),
    secrets: sources.flatMap(({ file, text }) => secretsIn(file, text)),
  }
}

function usesIn(file: string, text: string): Place[] {
  return [...text.matchAll(USED)]
    .filter(({ index }) => !isComment(text, index))
    .map(({ 1: call, 2: option, index }) => ({
      file,
      line: lineAt(text, index),
      text: call ?? option ?? '',
    }))
}

function secretsIn(file: string, text: string): Place[] {
  // Random values have letters and digits. A public key may be in the code.
  const values = [...text.matchAll(SECRET)].filter(
    ([, name = '', value = '']) => !/public/i.test(name) && /\d/.test(value) && /[a-z]/i.test(value),
  )
  return [...values, ...text.matchAll(PRIVATE_KEY)]
    .filter(({ index }) => !isComment(text, index))
    .map(({ 1: name = '', index }) => ({ file, line: lineAt(text, index), text: name }))
}

/** The part of a line before the last bracket, without a comment at the end. */
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

/** Calls of `use`, `get` and so on that mount guards, or other middleware that matters to guards. */
function mountsIn(file: string, text: string): Mount[] {
  return [...text.matchAll(/\.(?:use|all|get|post|put|patch|delete)\(/g)].flatMap(({ index }) => {
    if (isComment(text, index)) return []
    const call = callAt(text, index)
    const guards = [...call.matchAll(MOUNTED)]
    // A parser whose `verify` calls `keepBody` keeps the raw bytes.
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

/** Whether a place is after `//` on its line, or on a line of a block comment. */
function isComment(text: string, index: number): boolean {
  const line = text.slice(text.lastIndexOf('\n', index) + 1, index)
  return /^\s*(?:\/\/|\/?\*)/.test(line)
}

/** A call, from its name to its closing bracket. Brackets in strings are rare in such calls. */
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
