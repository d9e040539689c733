import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formsOf, searchFolder } from './traces.ts'

/** What the heap of an application in Dallas contained after requests for Europeans. */
export interface HeapReport {
  /** The number of refused requests for Europeans, and of served requests for others. */
  readonly refused: number
  readonly served: number
  readonly bytes: number
  /** The forms in which data of Europeans was found. */
  readonly europeans: readonly string[]
  /** The same for others, which shows that the search works. */
  readonly others: readonly string[]
}

/**
 * Starts an application that serves only Dallas, sends requests for Europeans and for others, and searches a snapshot
 * of its heap. `program` is the compiled `dallas-process.ts`. `careless`: the application remembers its requests.
 */
export async function searchHeap(
  program: string,
  { port, requests, careless = false }: { port: number; requests: number; careless?: boolean },
): Promise<HeapReport> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-heap-'))
  const child = fork(program, [String(port), careless ? 'careless' : 'forgetful'], {
    execArgv: ['--expose-gc'],
  })
  try {
    const [{ port: at }] = (await once(child, 'message')) as [{ port: number }]
    const [european, other] = [randomBytes(9).toString('hex'), randomBytes(9).toString('hex')]
    const put = async (id: string, mark: string, country: string): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${at}/people/${id}?name=${mark}`, {
        method: 'PUT',
        headers: {
          connection: 'close',
          'content-type': 'application/json',
          ...(id.includes('_') && { 'x-person-id': id }),
          cookie: `name=${mark}`,
          referer: `https://shop.example/${mark}`,
        },
        body: JSON.stringify({ country, name: `Zoë ${mark}`, email: `${mark}@example.org` }),
      })
      await answer.arrayBuffer()
      return answer.status
    }
    const counts = { refused: 0, served: 0 }
    for (let index = 0; index < requests; index += 1) {
      if ((await put(`europe_${european}.${index}`, european, 'FR')) === 421) counts.refused += 1
      // A new person has no identifier yet, so the country decides.
      if ((await put('new', european, 'FR')) === 421) counts.refused += 1
      if ((await put(`world_${other}.${index}`, other, 'US')) === 200) counts.served += 1
    }
    // The engine caches the last few strings, so these must belong to others.
    for (let index = requests; index < requests + 20; index += 1)
      if ((await put(`world_${other}.${index}`, other, 'US')) === 200) counts.served += 1
    child.send(join(folder, 'snapshot'))
    await once(child, 'message')
    const { bytes, hits } = await searchFolder(folder, formsOf(european))
    const found = await searchFolder(folder, formsOf(other))
    return { ...counts, bytes, europeans: hits, others: found.hits }
  } finally {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}
