// Bundles the declarations written by the compiler: the exports of each entry and the types that they need, in a few
// files.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parse, type ModuleItem } from '@swc/core'

/** A name that a module imports or re-exports. `external`: from another package. */
interface Source {
  readonly from: string
  readonly name: string
  readonly external: boolean
}

/** All statements that declare a name, such as the overloads of a function. */
interface Declared {
  readonly module: string
  readonly name: string
  text: string
}

interface Module {
  /** The declarations by name. `declare global` has the name `GLOBAL`. */
  readonly declared: Map<string, Declared>
  readonly imported: Map<string, Source>
  readonly exported: Map<string, Source & { readonly typeOnly: boolean }>
  /** Modules that are re-exported with `export *`. */
  readonly all: string[]
}

const GLOBAL = 'declare global'
const INLINE_IMPORT = /\bimport\((['"])(\.{1,2}\/[^'"]*)\.ts\1\)\.(\w+)/g
/** An identifier that is not a property: in `...Rest` it matches `Rest`, in `one.other` only `one`. */
const WORD = /(?<![\w$'"`])(?<!(?<!\.\.)\.)[A-Za-z_$][\w$]*(?![\w$'"`])/g
const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*/g
/** These type arguments exist since TypeScript 5.7. Without them, the types mean the same to callers. */
const GENERIC_BYTES = /\b(Uint8Array|Buffer)<ArrayBuffer(?:Like)?>/g

const withoutComments = (text: string): string => text.replaceAll(COMMENT, '')

/** The name that a statement declares. */
function nameOf(item: ModuleItem): string | undefined {
  const declaration = item.type === 'ExportDeclaration' ? item.declaration : item
  switch (declaration.type) {
    case 'ClassDeclaration':
    case 'FunctionDeclaration':
      return declaration.identifier.value
    case 'TsInterfaceDeclaration':
    case 'TsTypeAliasDeclaration':
      return declaration.id.value
    case 'VariableDeclaration': {
      const [first, ...more] = declaration.declarations
      if (first?.id.type !== 'Identifier' || more.length > 0)
        throw new Error('a declaration of several names')
      return first.id.value
    }
    case 'TsModuleDeclaration':
      if (declaration.id.type === 'Identifier' && declaration.id.value === 'global') return GLOBAL
      throw new Error('a namespace')
    default:
      return undefined
  }
}

async function readModule(folder: string, name: string): Promise<Module> {
  const text = (await readFile(join(folder, `${name}.d.ts`), 'utf8')).replaceAll(GENERIC_BYTES, '$1')
  // The parser gives positions in bytes, counted from the first statement that it has ever parsed in this process.
  const bytes = Buffer.from(`;${text}`)
  const { body } = await parse(`;${text}`, { syntax: 'typescript', target: 'es2022' })
  const start = body.shift()?.span.start ?? 0
  const module: Module = { declared: new Map(), imported: new Map(), exported: new Map(), all: [] }
  const placeOf = (from: string): Pick<Source, 'from' | 'external'> =>
    from.startsWith('.')
      ? { from: join(dirname(name), from.replace(/\.ts$/, '')), external: false }
      : { from, external: true }
  let end = 1
  for (const item of body) {
    // The comment before the statement is included.
    const statement = bytes.toString('utf8', end, item.span.end - start).trim()
    end = item.span.end - start
    if (item.type === 'ImportDeclaration') {
      for (const each of item.specifiers) {
        if (each.type !== 'ImportSpecifier') throw new Error(`${name}: ${each.type}`)
        module.imported.set(each.local.value, {
          ...placeOf(item.source.value),
          name: each.imported?.value ?? each.local.value,
        })
      }
    } else if (item.type === 'ExportAllDeclaration') module.all.push(placeOf(item.source.value).from)
    else if (item.type === 'ExportNamedDeclaration') {
      for (const each of item.specifiers) {
        if (each.type !== 'ExportSpecifier') throw new Error(`${name}: ${each.type}`)
        const place = item.source ? placeOf(item.source.value) : { from: name, external: false }
        module.exported.set(each.exported?.value ?? each.orig.value, {
          ...place,
          name: each.orig.value,
          typeOnly: item.typeOnly || each.isTypeOnly,
        })
      }
    } else {
      const declared = nameOf(item)
      if (declared === undefined) continue
      const known = module.declared.get(declared)
      if (known === undefined)
        module.declared.set(declared, { module: name, name: declared, text: statement })
      else known.text += `\n${statement}`
      if (item.type === 'ExportDeclaration')
        module.exported.set(declared, { from: name, name: declared, external: false, typeOnly: false })
    }
  }
  return module
}

/** Resolves names to declarations, and chooses the names that declarations have in the bundled files. */
class Roll {
  readonly #folder: string
  readonly #modules = new Map<string, Module>()
  /**
   * The name of a declaration in the bundled files. It may differ from its own, because two modules may use the same
   * name.
   */
  readonly #names = new Map<Declared, string>()
  readonly #taken = new Set<string>()
  /** The declarations and external names that a declaration needs. */
  readonly #needs = new Map<Declared, ReadonlySet<Declared | Source>>()

  constructor(folder: string) {
    this.#folder = folder
  }

  async module(name: string): Promise<Module> {
    const known = this.#modules.get(name)
    if (known !== undefined) return known
    const module = await readModule(this.#folder, name)
    this.#modules.set(name, module)
    return module
  }

  /** The exported names of a module, and whether each is only a type. */
  async exportsOf(name: string): Promise<Map<string, boolean>> {
    const { exported, all } = await this.module(name)
    const found = new Map([...exported].map(([outside, { typeOnly }]) => [outside, typeOnly]))
    for (const other of all)
      for (const [outside, typeOnly] of await this.exportsOf(other)) found.set(outside, typeOnly)
    return found
  }

  /** The declaration behind a name that a module exports. */
  async exportOf(name: string, outside: string): Promise<Declared | Source> {
    const { exported, all } = await this.module(name)
    const source = exported.get(outside)
    if (source?.external === true) return source
    if (source?.from === name) {
      const own = await this.inside(name, source.name)
      if (own !== undefined) return own
    }
    if (source !== undefined) return this.exportOf(source.from, source.name)
    for (const other of all)
      if ((await this.exportsOf(other)).has(outside)) return this.exportOf(other, outside)
    throw new Error(`${name} exports no ${outside}`)
  }

  /** The declaration of an identifier inside a module; `undefined` for a global name or a property. */
  async inside(name: string, word: string): Promise<Declared | Source | undefined> {
    const { declared, imported } = await this.module(name)
    const own = declared.get(word)
    if (own !== undefined) return own
    const source = imported.get(word)
    if (source === undefined || source.external) return source
    return this.exportOf(source.from, source.name)
  }

  nameOf(declared: Declared): string {
    const known = this.#names.get(declared)
    if (known !== undefined) return known
    let name = declared.name
    for (let count = 1; this.#taken.has(name); count += 1) name = `${declared.name}_${count}`
    this.#taken.add(name)
    this.#names.set(declared, name)
    return name
  }

  /** Returns what the declaration needs. The first call also changes its text to the names in the bundled files. */
  async needsOf(declaration: Declared): Promise<ReadonlySet<Declared | Source>> {
    const known = this.#needs.get(declaration)
    if (known !== undefined) return known
    const needs = new Set<Declared | Source>()
    this.#needs.set(declaration, needs)
    const { module, name } = declaration
    const inline = new Map<string, string>()
    for (const [whole, , path = '', word = ''] of withoutComments(declaration.text).matchAll(INLINE_IMPORT)) {
      const found = await this.exportOf(join(dirname(module), path), word)
      needs.add(found)
      inline.set(whole, 'text' in found ? this.nameOf(found) : found.name)
    }
    for (const [whole, word] of inline) declaration.text = declaration.text.replaceAll(whole, word)
    const renamed = new Map<string, string>()
    for (const [word] of withoutComments(declaration.text).matchAll(WORD)) {
      const found = await this.inside(module, word)
      if (found === undefined || found === declaration) continue
      needs.add(found)
      if ('text' in found && this.nameOf(found) !== word) renamed.set(word, this.nameOf(found))
    }
    if (name !== GLOBAL && this.nameOf(declaration) !== name) renamed.set(name, this.nameOf(declaration))
    declaration.text = declaration.text.replaceAll(WORD, (word) => renamed.get(word) ?? word)
    const added = (await this.module(module)).declared.get(GLOBAL)
    if (added !== undefined && added !== declaration) needs.add(added)
    return needs
  }
}

/** The given declarations, and everything that they need, directly or indirectly. */
async function closureOf(
  roll: Roll,
  from: Iterable<Declared | Source>,
): Promise<ReadonlySet<Declared | Source>> {
  const reached = new Set(from)
  for (const each of reached)
    if ('text' in each) for (const need of await roll.needsOf(each)) reached.add(need)
  return reached
}

/** The lines that import `needs` from other packages and from bundled files. */
function importLines(
  needs: Iterable<Declared | Source>,
  roll: Roll,
  placeOf: (declared: Declared) => string,
): string[] {
  const lines = new Map<string, Set<string>>()
  for (const need of needs) {
    if ('text' in need && need.name === GLOBAL) continue
    const from = 'text' in need ? placeOf(need) : need.from
    const names = lines.get(from) ?? new Set()
    lines.set(from, names.add('text' in need ? roll.nameOf(need) : need.name))
  }
  return [...lines].map(
    ([from, names]) => `import type { ${[...names].toSorted().join(', ')} } from '${from}';`,
  )
}

/**
 * Bundles the declarations in `folder` and writes them to `target`. `entries` maps the names of output files to
 * modules. Declarations that several entries need are in shared files, so that users need the peer packages only of the
 * entries that they import.
 */
export async function rollDeclarations(
  folder: string,
  target: string,
  entries: ReadonlyMap<string, string>,
): Promise<void> {
  const roll = new Roll(folder)
  const users = new Map<Declared, string[]>()
  const roots = new Map<string, (readonly [outside: string, typeOnly: boolean, found: Declared | Source])[]>()
  // The exported declarations come first, so that they keep their names.
  for (const [entry, module] of entries) {
    const exported: (readonly [string, boolean, Declared | Source])[] = []
    for (const [outside, typeOnly] of await roll.exportsOf(module)) {
      const found = await roll.exportOf(module, outside)
      if ('text' in found) roll.nameOf(found)
      exported.push([outside, typeOnly, found])
    }
    roots.set(entry, exported)
  }
  for (const [entry, exported] of roots)
    for (const each of await closureOf(
      roll,
      exported.map(([, , found]) => found),
    ))
      if ('text' in each) users.set(each, [...(users.get(each) ?? []), entry])
  const places = new Map<string, Declared[]>()
  const numbers = new Map<string, string>()
  const placeOf = (declared: Declared): string => {
    const [first = '', ...more] = users.get(declared) ?? []
    if (more.length === 0) return first
    const key = [first, ...more].join()
    const place = numbers.get(key) ?? `types/${numbers.size + 1}`
    numbers.set(key, place)
    return place
  }
  for (const declared of users.keys()) {
    const place = placeOf(declared)
    places.set(place, [...(places.get(place) ?? []), declared])
  }
  await mkdir(join(target, 'types'), { recursive: true })
  for (const place of new Set([...entries.keys(), ...places.keys()])) {
    const own = places.get(place) ?? []
    const exported = roots.get(place)
    const up = place.startsWith('types/') ? '..' : '.'
    const needs = new Set<Declared | Source>()
    for (const declared of own) for (const need of await roll.needsOf(declared)) needs.add(need)
    for (const [, , found] of exported ?? []) needs.add(found)
    const others = [...needs].filter((need) => !('text' in need) || placeOf(need) !== place)
    const texts = own.map((declared) => {
      const text = declared.text.replaceAll(/^export (?=(?:declare|interface|type|abstract) )/gm, '')
      return exported === undefined && declared.name !== GLOBAL
        ? text.replaceAll(/^(?=(?:declare|interface|type|abstract) )/gm, 'export ')
        : text
    })
    const names = (exported ?? []).map(([outside, typeOnly, found]) => {
      const inside = 'text' in found ? roll.nameOf(found) : found.name
      return `${typeOnly ? 'type ' : ''}${inside === outside ? outside : `${inside} as ${outside}`}`
    })
    const lines = importLines(others, roll, (declared) => `${up}/${placeOf(declared)}.js`)
    // An entry may re-export values, which `import type` does not allow.
    const imports =
      exported === undefined ? lines : lines.map((line) => line.replace(/^import type/, 'import'))
    await writeFile(
      join(target, `${place}.d.ts`),
      `${[...imports, ...texts, `export { ${names.join(', ')} };`].join('\n')}\n`,
    )
  }
}
