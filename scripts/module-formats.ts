// Converts an ES module that esbuild wrote to CommonJS. Both formats have the same text between imports and exports.
import { parse, type ModuleItem } from '@swc/core'

export interface Formats {
  readonly esm: string
  readonly cjs: string
  /** The exported names. */
  readonly names: readonly string[]
}

interface Binding {
  /** The exported name in the other module; `*` for a namespace import. */
  readonly name: string
  readonly local: string
}

type Statement = Extract<ModuleItem, { type: 'ImportDeclaration' | 'ExportNamedDeclaration' }>

function isStatement(item: ModuleItem): item is Statement {
  return item.type === 'ImportDeclaration' || item.type === 'ExportNamedDeclaration'
}

function bindingsOf(item: Extract<ModuleItem, { type: 'ImportDeclaration' }>): Binding[] {
  return item.specifiers.map((each) => {
    const local = each.local.value
    if (each.type === 'ImportNamespaceSpecifier') return { name: '*', local }
    if (each.type === 'ImportSpecifier') return { name: each.imported?.value ?? local, local }
    // Only built-in modules, whose default export is the module itself. For a package it could be something else.
    if (!item.source.value.startsWith('node:')) throw new Error(`default import of ${item.source.value}`)
    return { name: 'default', local }
  })
}

const list = (bindings: readonly Binding[], between: string): string =>
  bindings
    .map(({ name, local }) => (name === local ? name : `${name}${between}${local}`))
    .toSorted()
    .join()

/** The import statements of a module, and the equivalent `require` calls. */
function importsOf(from: string, bindings: readonly Binding[]): { esm: string; cjs: string } {
  const whole = bindings.filter(({ name }) => name === '*' || name === 'default')
  const named = bindings.filter((binding) => !whole.includes(binding))
  const required = `require("${from}")`
  const esm = whole.map(({ name, local }) => `import ${name === '*' ? '*as ' : ''}${local} from"${from}";`)
  const cjs = whole.map(({ local }) => `const ${local}=${required};`)
  if (named.length > 0) {
    esm.push(`import{${list(named, ' as ')}}from"${from}";`)
    cjs.push(`const{${list(named, ':')}}=${required};`)
  }
  if (bindings.length === 0) {
    esm.push(`import"${from}";`)
    cjs.push(`${required};`)
  }
  return { esm: esm.join(''), cjs: cjs.join('') }
}

/** Longer lines are broken. Node prints the line that throws above an uncaught error. */
const LONG = 2_000

/** Starts a new line with each statement of a module, and within long ones where the syntax allows it. */
export async function withLines(text: string): Promise<string> {
  // The parser gives positions in bytes, counted from the first statement that it has ever parsed in this process.
  const bytes = Buffer.from(`;${text}`)
  const { body } = await parse(`;${text}`, { syntax: 'ecmascript', target: 'es2022' })
  const origin = body[0]?.span.start ?? 0
  const statements = new Set(body.map(({ span }) => span.start - origin))
  const starts = [...startsIn(body)].map((start) => start - origin).toSorted((one, other) => one - other)
  const lines: string[] = []
  // The first statement is the semicolon that this function has added.
  let begun = 1
  for (const start of starts) {
    const isLong = start - begun > LONG && AFTER.has(bytes[start - 1])
    if (start <= begun || !(statements.has(start) || isLong)) continue
    lines.push(bytes.toString('utf8', begun, start))
    begun = start
  }
  lines.push(bytes.toString('utf8', begun))
  return lines.join('\n')
}

/** Statements in as few lines as possible that are not long. */
function inLines(statements: readonly string[]): string {
  let length = 0
  return statements
    .map((statement) => {
      const breaks = length > 0 && length + statement.length > LONG
      length = (breaks ? 0 : length) + statement.length
      return breaks ? `\n${statement}` : statement
    })
    .join('')
}

/** The bytes after which a new line changes nothing: `,` `;` and `{`. */
const AFTER: ReadonlySet<number | undefined> = new Set([44, 59, 123])

/** Where the nodes of a syntax tree begin, as the parser counts. */
function* startsIn(node: unknown): Generator<number> {
  if (Array.isArray(node)) for (const each of node) yield* startsIn(each)
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return
  const { span, ...members } = node as { span?: { start?: unknown } }
  if (typeof span?.start === 'number') yield span.start
  yield* startsIn(Object.values(members))
}

/**
 * Both formats of an ES module without a default export. The CommonJS format copies imported values once, so modules
 * must not import each other in a cycle, and exported values must not change later.
 */
export async function inBothFormats(source: string): Promise<Formats> {
  const shebang = /^#!.*\n/.exec(source)?.[0] ?? ''
  const text = source.slice(shebang.length)
  // The parser gives positions in bytes, counted from the first statement that it has ever parsed in this process.
  const bytes = Buffer.from(`;${text}`)
  const { body } = await parse(`;${text}`, { syntax: 'ecmascript', target: 'es2022' })
  const start = body.shift()?.span.start ?? 0
  const imports = new Map<string, Binding[]>()
  const exported: Binding[] = []
  const kept: string[] = []
  let end = 1
  for (const item of body) {
    if (!isStatement(item)) {
      if (item.type.startsWith('Export')) throw new Error(`${item.type} in a module`)
      continue
    }
    kept.push(bytes.toString('utf8', end, item.span.start - start))
    end = item.span.end - start
    if (item.type === 'ImportDeclaration') {
      const from = item.source.value
      imports.set(from, [...(imports.get(from) ?? []), ...bindingsOf(item)])
      continue
    }
    if (item.source !== null && item.source !== undefined) throw new Error('an export from another module')
    for (const each of item.specifiers) {
      if (each.type !== 'ExportSpecifier') throw new Error(`${each.type} in a module`)
      exported.push({ name: each.exported?.value ?? each.orig.value, local: each.orig.value })
    }
  }
  const all = [...imports].map(([from, bindings]) => importsOf(from, bindings))
  const inside = [...kept, bytes.toString('utf8', end)].join('').trim()
  const outside = exported.map(({ name, local }) => ({ name: local, local: name }))
  return {
    names: exported.map(({ name }) => name),
    esm: `${shebang}${inLines(all.map(({ esm }) => esm))}\n${inside}\nexport{${list(outside, ' as ')}};\n`,
    cjs: `${shebang}"use strict";${inLines(all.map(({ cjs }) => cjs))}\n${inside.replaceAll(
      /\bimport\(("[^"]+")\)/g,
      'Promise.resolve().then(()=>require($1))',
    )}\nmodule.exports={${list(exported, ':')}};Object.defineProperty(module.exports,"__esModule",{value:!0});\n`,
  }
}
