import { mkdtempSync } from 'node:fs'
import { readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'
import { isHeld, takeLock } from '../../../../src/audit/spool/lock.ts'

const folder = mkdtempSync(join(tmpdir(), 'portcullis-lock-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
let made = 0
const newPath = (): string => join(folder, `${(made += 1)}.lock`)
const longAgo = new Date(Date.now() - 600_000)

describe('the lock of a spool', () => {
  it('is taken once, and can be taken again after its release', async () => {
    const path = newPath()
    const lock = await takeLock(path)
    expect(lock).toBeDefined()
    expect(await takeLock(path)).toBeUndefined()
    expect(await isHeld(path)).toBe(true)
    await lock?.release()
    expect(await isHeld(path)).toBe(false)
    const again = await takeLock(path)
    expect(again).toBeDefined()
    await again?.release()
  })

  it.each([
    ['a process that does not run', { pid: 2 ** 22 - 1, host: hostname(), began: 'x' }],
    ['a process whose number another one has now', { pid: process.pid, host: hostname(), began: 'another' }],
  ])('is free when it was held by %s, however fresh it is', async (_what, holder) => {
    const path = newPath()
    await writeFile(path, JSON.stringify(holder))
    expect(await isHeld(path)).toBe(false)
    const lock = await takeLock(path)
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ pid: process.pid })
    await lock?.release()
  })

  it('is valid for a minute after its last renewal if it is of another host, or was truncated', async () => {
    for (const text of [JSON.stringify({ pid: 1, host: 'elsewhere', began: '' }), '{"pi']) {
      const path = newPath()
      await writeFile(path, text)
      expect(await isHeld(path)).toBe(true)
      await utimes(path, longAgo, longAgo)
      expect(await isHeld(path)).toBe(false)
    }
  })
})
