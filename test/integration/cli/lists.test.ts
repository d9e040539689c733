import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { KINDS, makePlace, type Place } from './stores.ts'

describe.each(KINDS)('named lists in a store of the kind %s', (kind) => {
  let place: Place
  beforeAll(() => {
    place = makePlace(kind)
  })
  afterAll(() => place.remove())
  const run: Place['run'] = (line, more) => place.run(line, more)
  const write = (name: string, text: string): void => writeFileSync(join(place.directory, name), text)

  it('import reads text, CSV and JSON, chosen by the file extension or by --format', async () => {
    write('office.txt', '\uFEFF192.0.2.0/24 # the office\r\n2001:DB8::/32\r\n')
    const text = await run('list import office office.txt --note "moved in"')
    expect([text.code, text.out]).toEqual([0, 'office is at revision 1 with 2 entries\n'])
    write('office.csv', 'range,note,owner\n192.0.2.0/24,"the office, new",ada\n')
    expect((await run('list import csv office.csv')).out).toContain('with 1 entry\n')
    write('office.json', '["192.0.2.1",{"range":"192.0.2.2","expires":"2040-01-01T00:00:00Z"}]')
    expect((await run('list import json office.json')).out).toContain('with 2 entries\n')
    expect((await run('list import piped - --format json', { input: '["192.0.2.1"]' })).code).toBe(0)
    expect((await run('list import empty -', { input: '' })).out).toContain('with 0 entries\n')
  })

  it('export writes every format that import reads', async () => {
    for (const format of ['text', 'csv', 'json']) {
      const exported = await run(`list export json --format ${format}`)
      expect((await run(`list import copy - --format ${format}`, { input: exported.out })).code).toBe(0)
      expect((await run('list export copy --format json')).out).toBe(
        (await run('list export json --format json')).out,
      )
    }
    expect((await run('list export office')).out).toBe('192.0.2.0/24 # the office\n2001:db8::/32\n')
    expect((await run('list export none')).code).toBe(3)
    expect((await run('list export office --format xml')).code).toBe(2)
  })

  it('show lists them, with their history', async () => {
    const all = await run('list show')
    expect([all.code, all.out.split('\n').map((line) => line.split(' ')[0])]).toEqual([
      0,
      ['copy', 'csv', 'empty', 'json', 'office', 'piped', ''],
    ])
    expect((await run('list show office')).out).toMatch(
      /^office +2 entries +revision 1 +\S+Z +tester +moved in\n$/,
    )
    expect((await run('list show ofice')).error).toContain('did you mean `office`?')
  })

  it('import names the lines of invalid entries, and writes nothing', async () => {
    write('bad.txt', `192.0.2.1\n192.0.2.1/24\nnonsense\n`)
    const refused = await run('list import office bad.txt')
    expect([refused.code, refused.error]).toEqual([
      1,
      expect.stringMatching(/line 2: host bits are set.*write `192\.0\.2\.0\/24`\n {2}line 3: /),
    ])
    expect((await run('list show office')).out).toContain('revision 1')
    expect((await run('list import office nowhere.txt')).error).toContain('there is no file `nowhere.txt`')
    expect((await run('list import office .')).error).toContain('`.` is a directory')
    expect((await run('list import no/name office.txt')).code).toBe(1)
  })

  it('import checks the revision', async () => {
    const stale = await run('list import office office.txt --if-revision 0')
    expect([stale.code, stale.error]).toEqual([1, expect.stringContaining('list `office` is at revision 1')])
    expect((await run('list import office office.txt --if-revision 1')).out).toContain('at revision 2')
  })

  it('import can be interrupted, and the list stays unchanged', async () => {
    const lines = Array.from(
      { length: 20_000 },
      (_, index) => `10.${index >> 14}.${(index >> 6) & 255}.${index & 63}\n`,
    )
    write('long.txt', lines.join(''))
    const signal = AbortSignal.abort()
    const ended = await run('list import office long.txt', { signal })
    expect([ended.code, ended.error]).toEqual([130, expect.stringContaining('interrupted')])
    expect((await run('list show office')).out).toContain('2 entries')
    const whole = await run('list import office long.txt')
    expect([whole.code, whole.out]).toEqual([0, 'office is at revision 3 with 20,000 entries\n'])
    expect((await run('list export office')).out).toBe(lines.join(''))
    expect((await run('list export office', { signal })).code).toBe(130)
  })

  it('shows progress in one line on a terminal, and elsewhere in a line per tenth', async () => {
    const elsewhere = await run('list import again long.txt')
    expect(elsewhere.error).toMatch(/^\d0 % of 20000 entries\n/)
    expect((await run('list import again long.txt --json')).error).toBe('')
    const terminal = await run('list import again long.txt', { terminals: { error: true } })
    expect(terminal.error).toMatch(/^\r\d+ % of 20000 entries[^\n]*\r\u001B\[K$/)
  })
})

it('there are no lists at first', async () => {
  const place = makePlace('file')
  expect((await place.run('app create a')).code).toBe(0)
  const none = await place.run('list show')
  expect([none.code, none.error]).toEqual([3, expect.stringContaining('there are no lists')])
  await place.remove()
})
