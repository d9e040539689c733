import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { repository } from '../../support/commands.ts'

const read = (path: string): string => readFileSync(join(repository, path), 'utf8')

interface Manifest {
  readonly dependencies?: Record<string, string>
  readonly devDependencies: Record<string, string>
}
interface Lock {
  readonly packages: Record<string, { version?: string; integrity?: string; link?: boolean }>
}

describe('dependencies', () => {
  it('SECURITY.md has a time limit for each severity of npm audit, shorter for more severe ones', () => {
    const rows = [
      ...read('SECURITY.md').matchAll(/^\| (\w+) \([\d.-]+\) +\| (\d+) days +\| (\d+) days +\|$/gm),
    ]
    expect(rows.map(([, severity]) => severity)).toEqual(['critical', 'high', 'moderate', 'low'])
    for (const column of [2, 3]) {
      const days = rows.map((row) => Number(row[column]))
      expect(days).toEqual([...new Set(days)].toSorted((one, other) => one - other))
    }
  })

  it('package.json pins each version, and has no dependencies at run time', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Manifest
    expect(dependencies).toBeUndefined()
    const loose = Object.entries(devDependencies).filter(
      ([, version]) => !/^(?:npm:(?:@[\w-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+$/.test(version),
    )
    expect(loose).toEqual([])
  })

  it('the lock file pins the contents of every installed package', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as Lock
    const open = Object.entries(packages).filter(
      ([path, { integrity, link }]) => path !== '' && link !== true && integrity === undefined,
    )
    expect(open.map(([path]) => path)).toEqual([])
  })
})
