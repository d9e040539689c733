import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { type ModuleItem, parseSync, printSync } from '@swc/core'
import { repository } from '../../support/commands.ts'

export interface SourceFile {
  /** From `src/` on, with slashes: `match/ip.ts`. */
  readonly path: string
  /** Folder under src, or the name of a file that lies in src itself: `match`, `decision`, `index`. */
  readonly area: string
  readonly lines: number
  /** The text as it is written. */
  readonly text: string
  /** The code without its comments. */
  readonly code: string
  /** The modules that it names, as written. */
  readonly imports: readonly Import[]
}

export interface Import {
  /** As written: `../decision.ts`, `node:crypto`, `zod`. */
  readonly from: string
  readonly typeOnly: boolean
  /** The source file meant, as {@link SourceFile.path}; undefined for packages. */
  readonly file: string | undefined
}

export function areaOf(path: string): string {
  return (path.split('/')[0] ?? '').replace(/\.ts$/, '')
}

let sources: readonly SourceFile[] | undefined

export function readSources(): readonly SourceFile[] {
  return (sources ??= readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.ts'))
    .toSorted()
    .map(readSource))
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(repository, 'src', path), 'utf8')
  let code: string | undefined
  let imports: readonly Import[] | undefined
  return {
    path,
    area: areaOf(path),
    lines: text.split('\n').length - 1,
    text,
    // Made when they are asked for: to parse and print all sources takes seconds.
    get code() {
      return (code ??= printSync(parse(text)).code)
    },
    get imports() {
      return (imports ??= importsOf(text, parse(text).body).map(({ from, typeOnly }) => ({
        from,
        typeOnly,
        file: from.startsWith('.') ? normalize(join(dirname(path), from)).replaceAll('\\', '/') : undefined,
      })))
    },
  }
}

export function parse(text: string): ReturnType<typeof parseSync> {
  return parseSync(text, { syntax: 'typescript', target: 'es2023', comments: false })
}

/** swc's typings leave `typeOnly` out of some items that have it. */
export function isTypeOnly(item: object): boolean {
  return 'typeOnly' in item && item.typeOnly === true
}

function importsOf(text: string, body: readonly ModuleItem[]): { from: string; typeOnly: boolean }[] {
  const found = body.flatMap((item) => {
    if (item.type === 'ImportDeclaration') return [{ from: item.source.value, typeOnly: item.typeOnly }]
    if (item.type === 'ExportAllDeclaration') return [{ from: item.source.value, typeOnly: false }]
    if (item.type !== 'ExportNamedDeclaration' || item.source == null) return []
    return [{ from: item.source.value, typeOnly: isTypeOnly(item) }]
  })
  const dynamic = [...text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)]
  return [...found, ...dynamic.map(([, from = '']) => ({ from, typeOnly: false }))]
}
