import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import { SEED, seededRandom } from '../../../support/seeded.ts'
import { compiled } from '../../../support/compiled.ts'
import {
  contents,
  directory,
  leftovers,
  listenWhole,
  makeOld,
  named,
  open,
  opened,
  path,
  textOf,
  until,
} from './opened.ts'

describe('several writers', () => {
  it('lose nothing as separate processes: each revision belongs to one of them', async () => {
    await writeFile(path, textOf({}))
    const store = open()
    const heard = await listenWhole(store)
    const writers = [startWriter('a', 40), startWriter('a', 40), startWriter('b', 40), startWriter('a', 40)]
    await Promise.all(writers.map(({ ended }) => ended))
    expect(writers.map((writer) => writer.said())).toEqual(['', '', '', ''])
    const given = [writers[0], writers[1], writers[3]].flatMap((writer) => writer?.revisions() ?? [])
    expect(given.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1))
    expect(writers[2]?.revisions()).toEqual(Array.from({ length: 40 }, (_, i) => i + 1))
    expect(await store.read('a')).toMatchObject({ revision: 120 })
    expect((await store.history('a')).map(({ revision }) => revision)).toEqual(
      Array.from({ length: 100 }, (_, index) => 120 - index),
    )
    expect(heard).toContain('changed a 120')
    expect(heard).not.toContain('broken')
    expect(await leftovers()).toEqual([])
  })

  it(`may be killed at any moment: the file is intact, with everything written (TEST_SEED=${SEED})`, async () => {
    const random = seededRandom()
    await writeFile(path, textOf({ bystander: named('bystander', 'B') }))
    const store = open()
    const heard = await listenWhole(store)
    let newest = 0
    let locked = 0
    for (let round = 0; round < 6; round += 1) {
      const writers = [startWriter('a', 1_000_000), startWriter('a', 1_000_000)]
      await Promise.race([
        until(() => writers.every(({ revisions }) => revisions().length > 0), 15_000),
        ...writers.map(async ({ ended, said }) => {
          if ((await ended) !== null) throw new Error(said())
        }),
      ])
      await pause(random() * 200)
      for (const { child } of writers) child.kill('SIGKILL')
      await Promise.all(writers.map(({ ended }) => ended))
      newest = Math.max(newest, ...writers.flatMap(({ revisions }) => revisions()))
      const { apps } = await contents()
      // A writer may have been killed after a write, before it printed the revision.
      expect(apps['a']?.revision).toBeGreaterThanOrEqual(newest)
      expect(apps['a']?.revision).toBeLessThanOrEqual(newest + 2)
      expect(apps['bystander']).toEqual(named('bystander', 'B'))
      newest = apps['a']?.revision ?? 0
      // Ten seconds later.
      for (const left of await leftovers()) {
        for (const name of await readdir(join(directory, left))) await makeOld(join(directory, left, name))
        await makeOld(join(directory, left))
        locked += 1
      }
    }
    expect(locked).toBeGreaterThan(0)
    expect(await store.write({ policy: { appId: 'a' } }, newest)).toBe(newest + 1)
    expect(await leftovers()).toEqual([])
    expect(heard).not.toContain('broken')
  })

  it('reject the write if the disk is full, leave nothing behind, and keep earlier data', async () => {
    await writeFile(path, textOf({}))
    // With a file size limit of 64 blocks, a history with long notes soon exceeds it.
    const writer = startWriter('a', 300, ['/bin/sh', '-c', 'ulimit -f 64; exec "$0" "$@"'])
    expect(await writer.ended).not.toBe(0)
    expect(writer.said()).toContain('cannot be written: EFBIG')
    expect(writer.said()).not.toContain('xxxx')
    const last = writer.revisions().at(-1)
    expect(last).toBeGreaterThan(10)
    expect(await open().read('a')).toMatchObject({ revision: last })
    expect(await leftovers()).toEqual([])
  })

  interface Writer {
    readonly child: ChildProcess
    readonly ended: Promise<number | null>
    /** The revisions that it got. */
    revisions(): number[]
    said(): string
  }

  function startWriter(appId: string, times: number, under: string[] = []): Writer {
    const script = compiled('test/unit/store/file/file-writer.ts')
    const command = [...under, process.execPath, script, path, appId, String(times)]
    const child = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
    opened.push({ close: () => child.kill('SIGKILL') })
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    return {
      child,
      ended: once(child, 'close').then(([code]) => code as number | null),
      revisions: () => out.split('\n').slice(0, -1).map(Number),
      said: () => err,
    }
  }
})
