import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { repository } from '../../support/commands.ts'

/**
 * The number of requirements of levels 1 and 2 in each section of ASVS 5.0.0. They are numbered from 1 without gaps.
 */
const SECTIONS = `1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1 4.3:2 4.4:4
5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1
9.1:3 9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 12.1:3 12.2:2 12.3:4
13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4 17.3:2`
const REQUIREMENTS = SECTIONS.split(/\s+/).flatMap((section) => {
  const [name = '', count] = section.split(':')
  return Array.from({ length: Number(count) }, (_, index) => `${name}.${index + 1}`)
})

interface Row {
  readonly ids: readonly string[]
  readonly state: string
  readonly how: string
  readonly test: string
}

const page = readFileSync(join(repository, 'docs/asvs.md'), 'utf8')
const rows: readonly Row[] = [
  ...page.matchAll(/^\| (\d[\d.]*(?:-[\d.]+)?) +\|([^|]*)\|([^|]*)\|([^|]*)\|$/gm),
].map(([, id = '', state = '', how = '', test = '']) => ({
  ids: idsOf(id),
  state: state.trim(),
  how: how.trim(),
  test: test.trim(),
}))

/** The ids of a range of requirements. */
function idsOf(text: string): string[] {
  const [first = '', last = first] = text.split('-')
  return REQUIREMENTS.slice(REQUIREMENTS.indexOf(first), REQUIREMENTS.indexOf(last) + 1)
}

const fileOf = (name: string): string =>
  join(repository, 'test', name.startsWith('example-server/') ? `integration/${name}` : name)

describe('docs/asvs.md', () => {
  it('has each requirement of levels 1 and 2 once', () => {
    expect(REQUIREMENTS.length).toBe(253)
    const named = rows.flatMap(({ ids }) => ids)
    expect(REQUIREMENTS.filter((id) => !named.includes(id))).toEqual([])
    expect(named.length).toBe(REQUIREMENTS.length)
  })

  it('states the result of each row, and names a test if it is met', () => {
    const wrong = rows.filter(
      ({ state, how, test }) =>
        !/^(?:met|partly|not met|operator|n\/a)$/.test(state) ||
        how === '' ||
        (state === 'met' && test === ''),
    )
    expect(wrong).toEqual([])
  })

  it('counts its rows correctly', () => {
    for (const state of ['met', 'partly', 'not met', 'operator', 'n/a']) {
      const count = rows.filter((row) => row.state === state).flatMap(({ ids }) => ids).length
      expect([state, page]).toEqual([
        state,
        expect.stringMatching(new RegExp(`^\\| ${state} +\\| ${count} +\\|`, 'm')),
      ])
    }
  })

  it('names existing tests', () => {
    const lost = rows
      .filter(({ test }) => test !== '')
      .filter(({ test }) => {
        const [, name = '', title = ''] = /^`([^`]+)`: (.+)$/.exec(test) ?? []
        const file = fileOf(name)
        return (
          title === '' ||
          !existsSync(file) ||
          !readFileSync(file, 'utf8').includes(title.replaceAll('\\', ''))
        )
      })
      .map(({ ids, test }) => `${ids.join()}: ${test}`)
    expect(lost).toEqual([])
  })
})
