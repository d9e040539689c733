import { spawn, type ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { compiled } from '../../support/compiled.ts'
import { repository } from '../../support/commands.ts'
import { until } from '../../support/redis.ts'

let demo: ChildProcess
let ended: Promise<number | null>
let said = ''
let url = ''

beforeAll(async () => {
  const { PATH = '', HOME = '', REDIS_SERVER_BIN = 'redis-server' } = process.env
  demo = spawn(process.execPath, [compiled('example-server/demo-regions.ts')], {
    cwd: repository,
    env: { PATH, HOME, REDIS_SERVER_BIN, PORT: '0' },
  })
  ended = new Promise((resolve) => demo.once('close', resolve))
  const ready = new Promise<void>((resolve) => {
    for (const stream of [demo.stdout, demo.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said += String(chunk)
        if (said.includes('Open /regions')) resolve()
      })
    }
  })
  await Promise.race([ready, ended])
  url = /gateway: (http\S+)/.exec(said)?.[1] ?? ''
})
afterAll(async () => {
  demo.kill('SIGKILL')
  await ended
})

async function page(): Promise<string> {
  const answer = await fetch(`${url}/regions`)
  return `${answer.headers.get('refresh')} ${await answer.text()}`
}

/** The rows of both tables, as text. */
async function rows(): Promise<readonly string[]> {
  const found = (await page()).matchAll(/<tr>([^]*?)<\/tr>/g)
  return [...found].map(([, row = '']) =>
    row
      .replaceAll(/<[^>]*>/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim(),
  )
}

describe('npm run demo:regions', () => {
  it('shows on a page that reloads itself what each location stores, and no field of a person', async () => {
    expect(await page()).toMatch(/^2 /)
    const all = await rows()
    expect(all).toContain('London europe answers 3 3 3')
    expect(all).toContain('Frankfurt europe answers 3 3 3')
    expect(all).toContain('Dallas world answers 3 3 3')
    expect(
      all.filter((row) => row.startsWith('europe_') && row.endsWith('… sealed sealed nothing')),
    ).toHaveLength(3)
    expect(
      all.filter((row) => row.startsWith('world_') && row.endsWith('… nothing nothing sealed')),
    ).toHaveLength(3)
    const text = await page()
    for (const name of ['Zoé', 'Dupont', 'Weber', 'Clarke', 'Miller', 'Silva', 'Tanaka', 'people.example'])
      expect(text).not.toContain(name)
  })

  it('shows when a location is killed, and when it is back', async () => {
    demo.stdin?.write('kill frankfurt\n')
    await until('it is unreachable', async () =>
      (await rows()).includes('Frankfurt europe unreachable ? ? ?'),
    )
    expect(await rows()).toContain('London europe answers 3 3 3')
    demo.stdin?.write('start frankfurt\n')
    await until('it is back', async () => (await rows()).includes('Frankfurt europe answers 3 3 3'))
    demo.stdin?.write('burn frankfurt\n')
    await until('it says what it takes', async () => said.includes('Type `kill` or `start`'))
  })

  it('stops everything that it started when it ends', async () => {
    demo.kill('SIGTERM')
    expect(await ended).toBe(0)
  })
})
