import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Declaration, ModuleItem } from '@swc/core'
import { repository } from '../../support/commands.ts'
import { isTypeOnly, parse } from './sources.ts'

export interface PublicNames {
  readonly values: readonly string[]
  readonly types: readonly string[]
}

/**
 * The names that a source file exports, parsed from its text. `path` is relative to the repository, such as
 * `src/index.ts`.
 */
export function exportedNames(path: string): PublicNames {
  const found = parse(readFileSync(join(repository, path), 'utf8')).body.flatMap((item) =>
    namesOf(item, path),
  )
  const sorted = (type: boolean): string[] =>
    [...new Set(found.filter((one) => one.type === type).map(({ name }) => name))].toSorted()
  return { values: sorted(false), types: sorted(true) }
}

interface Name {
  readonly name: string
  readonly type: boolean
}

function namesOf(item: ModuleItem, path: string): readonly Name[] {
  if (item.type === 'ExportDeclaration') return declared(item.declaration)
  if (item.type === 'ExportAllDeclaration') {
    const typeOnly = isTypeOnly(item)
    const { values, types } = exportedNames(join(dirname(path), item.source.value))
    return [
      ...values.map((name) => ({ name, type: typeOnly })),
      ...types.map((name) => ({ name, type: true })),
    ]
  }
  if (item.type !== 'ExportNamedDeclaration') return []
  const typeOnly = isTypeOnly(item)
  return item.specifiers.flatMap((specifier) => {
    if (specifier.type !== 'ExportSpecifier') throw new Error(`${path}: export names one by one`)
    const { orig, exported } = specifier
    return [{ name: (exported ?? orig).value, type: typeOnly || specifier.isTypeOnly }]
  })
}

function declared(declaration: Declaration): readonly Name[] {
  switch (declaration.type) {
    case 'TsInterfaceDeclaration':
    case 'TsTypeAliasDeclaration':
      return [{ name: declaration.id.value, type: true }]
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
      return [{ name: declaration.identifier.value, type: false }]
    case 'VariableDeclaration':
      return declaration.declarations.flatMap(({ id }) =>
        id.type === 'Identifier' ? [{ name: id.value, type: false }] : [],
      )
    default:
      return []
  }
}
