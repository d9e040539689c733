import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { repository } from '../../support/commands.ts'

const page = readFileSync(join(repository, 'CONTRIBUTING.md'), 'utf8')

/** The rows of the table after a heading, each as a list of cells. */
function tableBelow(heading: string): string[][] {
  const section = page.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}

const PATH = /^(?:src\/|test\/|docs\/|package\.json$)/
const pathsIn = (cell: string): string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text).filter((text) => PATH.test(text))
const newIn = (cell: string): string[] => [...cell.matchAll(/\bnew `([^`]+)`/g)].map(([, path = '']) => path)

const recipes = tableBelow('Recipes').map(([change = '', files = '']) => ({
  change,
  files,
  created: newIn(files),
  touched: pathsIn(files).filter((path) => !newIn(files).includes(path)),
}))

const CHANGES = [
  'a seventh guard',
  'an option of a guard',
  "a member of a policy's section",
  'a denial code',
  'a code of the signature',
  'ECDSA P-256',
  'a bundled Postgres store',
  'a managed store outside this repository',
  'a Kafka sink outside this repository',
  'a country in a jurisdiction',
  'a lint rule',
  'how the client address is found',
  'a Koa adapter',
  'a list in S3',
  'a Redis key',
  'a console page',
  'a command of the command line',
  'a header that a guard reads',
  'a new kind of entry in a policy',
  'a store option',
  'a warning',
]

describe('CONTRIBUTING.md', () => {
  it('has a recipe for each usual change', () => {
    expect(recipes.map(({ change }) => change)).toEqual(CHANGES)
  })

  it.each(recipes)(
    'names existing files for "$change", and new files that do not exist',
    ({ touched, created }) => {
      expect(touched.filter((path) => !existsSync(join(repository, path)))).toEqual([])
      expect(created.filter((path) => existsSync(join(repository, path)))).toEqual([])
    },
  )

  it.each(recipes)('names for "$change" what these files contain', ({ files }) => {
    const named = [...files.matchAll(/`([A-Za-z_]+)` in `([^`]+)`/g)]
    const missing = named.filter(([, name = '', path = '']) => {
      const text = readFileSync(join(repository, path), 'utf8')
      return !new RegExp(`\\b${name}\\b`).test(text)
    })
    expect(missing.map(([text]) => text)).toEqual([])
  })

  it('needs at most three files per change; a seventh guard needs three new ones, and rows in two tables', () => {
    const wide = recipes.filter(({ created, touched, files }) => {
      const counted = files.startsWith('no file') ? [] : [...created, ...new Set(touched)]
      return counted.length > 3
    })
    expect(wide.map(({ change, created, touched }) => [change, created.length, touched.length])).toEqual([
      ['a seventh guard', 3, 2],
    ])
  })

  it('says where to find things, and names only paths that exist', () => {
    const rows = tableBelow('Where to find things')
    expect(rows.length).toBeGreaterThan(8)
    const named = rows.flatMap(([, cell = '']) => pathsIn(cell))
    expect(named.filter((path) => !existsSync(join(repository, path)))).toEqual([])
  })

  it('names exactly the scripts in package.json', () => {
    const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const named = [...page.matchAll(/\bnpm run ([a-z:-]+)/g)].map(([, name = '']) => name)
    expect(named.length).toBeGreaterThan(5)
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([])
    const startedByNpm = new Set(['prepare', 'prepublishOnly'])
    const known = new Set([...named, ...[...page.matchAll(/\bnpm (start|test)\b/g)].map(([, name]) => name)])
    expect(Object.keys(scripts).filter((name) => !known.has(name) && !startedByNpm.has(name))).toEqual([])
  })
})

describe('ARCHITECTURE.md', () => {
  const text = readFileSync(join(repository, 'ARCHITECTURE.md'), 'utf8')

  it('names only existing files and folders of src', () => {
    const named = [...text.matchAll(/`([a-z-]+\/(?:[a-z-]+\/)*(?:[a-z-]+\.ts)?|[a-z-]+\.ts)`/g)].map(
      ([, path = '']) => path,
    )
    expect(named.length).toBeGreaterThan(20)
    const inFolders = ['', 'http/', 'explain/']
    const missing = named.filter(
      (path) =>
        !inFolders.some((folder) => existsSync(join(repository, 'src', folder, path))) &&
        !existsSync(join(repository, 'test/unit/house', path)),
    )
    expect(missing).toEqual([])
  })

  it('shows the same layers as their test', () => {
    const layers = /```\n(testing \| cli[\s\S]*?)```/.exec(text)?.[1]?.trim().split('\n').toReversed()
    const inTest = readFileSync(join(repository, 'test/unit/house/layers.test.ts'), 'utf8')
    const table = /const layers[^=]*= \[([\s\S]*?)\n\]/.exec(inTest)?.[1] ?? ''
    const rows = [...table.matchAll(/\[([^\]]+)\]/g)].map(([, row = '']) =>
      (row.match(/[a-z-]+/g) ?? []).toSorted(),
    )
    expect(layers?.map((line) => (line.match(/[a-z-]+/g) ?? []).toSorted())).toEqual(rows)
  })
})
