import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { type ModuleItem, parseSync, printSync, transformSync } from '@swc/core'
import { repository } from '../../support/commands.ts'

export interface SourceFile {
  /** The path relative to `src/`, with slashes, such as `match/ip.ts`. */
  readonly path: string
  /** The folder in src, or the name of a file directly in src, such as `match`, `decision` or `index`. */
  readonly area: string
  readonly lines: number
  /** The source text. */
  readonly text: string
  /** The code without its comments. */
  readonly code: string
  /** The code without its comments and types. It takes a tenth of the time of `code`. */
  readonly withoutTypes: string
  /** The imported modules. */
  readonly imports: readonly Import[]
}

export interface Import {
  /** The module specifier, such as `../decision.ts`, `node:crypto` or `zod`. */
  readonly from: string
  readonly typeOnly: boolean
  /** The imported source file, as {@link SourceFile.path}; undefined for packages. */
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
  let withoutTypes: string | undefined
  let imports: readonly Import[] | undefined
  return {
    path,
    area: areaOf(path),
    lines: text.split('\n').length - 1,
    text,
    // Computed on demand, because parsing and printing all sources takes seconds.
    get code() {
      return (code ??= printSync(parse(text)).code)
    },
    get withoutTypes() {
      return (withoutTypes ??= stripTypes(text))
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

function stripTypes(text: string): string {
  return transformSync(text, {
    swcrc: false,
    jsc: {
      parser: { syntax: 'typescript' },
      target: 'esnext',
      minify: { compress: false, mangle: false, format: { comments: false } },
      transform: { verbatimModuleSyntax: true },
    },
    module: { type: 'es6' },
  }).code
}

/** Reads `typeOnly`, which swc's types omit for some items. */
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
