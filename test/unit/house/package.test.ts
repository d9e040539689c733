import { existsSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { repository } from '../../support/commands.ts'
import { readSources } from './sources.ts'

interface Manifest {
  readonly exports: Record<string, unknown>
  readonly dependencies?: Record<string, string>
  readonly devDependencies: Record<string, string>
}

const read = (name: string): string => readFileSync(join(repository, name), 'utf8')
const manifest = JSON.parse(read('package.json')) as Manifest

const packageOf = (from: string): string =>
  from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/')

describe('package.json', () => {
  it('has no dependencies: the build bundles the packages that the sources import', () => {
    const builtIn = new Set(builtinModules)
    const imported = readSources()
      .flatMap(({ imports }) => imports)
      .filter(({ file, from }) => file === undefined && !from.startsWith('node:') && !builtIn.has(from))
      .map(({ from }) => packageOf(from))
    expect(manifest.dependencies).toBeUndefined()
    const undeclared = imported.filter((name) => manifest.devDependencies[name] === undefined)
    expect([...new Set(undeclared)]).toEqual([])
    expect(imported.length).toBeGreaterThan(5)
  })

  it('names the built-in modules of Node with `node:`', () => {
    const bare = readSources().flatMap(({ path, imports }) =>
      imports.filter(({ from }) => builtinModules.includes(from)).map(({ from }) => `src/${path}: ${from}`),
    )
    expect(bare).toEqual([])
  })

  it('pins every dependency to one version', () => {
    const ranges = Object.entries(manifest.devDependencies).filter(
      ([, version]) => !/^(npm:[^@]+@)?\d+\.\d+\.\d+$/.test(version),
    )
    expect(ranges).toEqual([])
  })

  it('exports an existing built index for import and for require', () => {
    for (const [name, target] of Object.entries(manifest.exports)) {
      if (name.endsWith('.json')) continue
      expect({ [name]: existsSync(join(repository, 'src', name, 'index.ts')) }).toEqual({ [name]: true })
      const file = name === '.' ? 'index' : name.slice(2)
      expect(target).toEqual({
        import: {
          types: `./dist/esm/${file}.d.ts`,
          // Bundlers support this condition, and Node does not.
          module: `./dist/esm/${file}.js`,
          default: `./dist/node/${file}.js`,
        },
        require: { types: `./dist/cjs/${file}.d.ts`, default: `./dist/cjs/${file}.js` },
      })
    }
  })
})

describe('package-lock.json', () => {
  it('names no registry', () => {
    expect(read('package-lock.json')).not.toContain('"resolved"')
  })

  it('contains the binaries of every platform', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>
    }
    const present = Object.keys(packages)
    const missing = Object.values(packages)
      .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
      .filter((name) => !present.some((path) => path.endsWith(`node_modules/${name}`)))
    // A package can be too new for the registry that created the lock file. Pin an older one, and recreate the lock
    // file.
    expect(missing).toEqual([])
  })
})

it.each(['README.md', 'CHANGELOG.md', 'LICENSE'])('contains %s', (name) => {
  expect(existsSync(join(repository, name))).toBe(true)
})
