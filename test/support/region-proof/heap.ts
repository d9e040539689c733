import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formsOf, searchFolder } from './traces.ts'

/** What the heap of an application in Dallas held after it was asked for Europeans. */
export interface HeapReport {
  /** How many requests for Europeans were refused, and how many of others were served. */
  readonly refused: number
  readonly served: number
  readonly bytes: number
  /** Forms in which something of a European was found. */
  readonly europeans: readonly string[]
  /** The same of the others, so that the search is known to find. */
  readonly others: readonly string[]
}

/**
 * Starts an application that serves only Dallas, asks it for Europeans and for others, and searches a snapshot of its heap. `program` is
 * the compiled `dallas-process.ts`. `careless`: the application remembers what it was asked.
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
      // Where the identifier says nothing, the country does.
      if ((await put('new', european, 'FR')) === 421) counts.refused += 1
      if ((await put(`world_${other}.${index}`, other, 'US')) === 200) counts.served += 1
    }
    // What the engine remembers of the last few texts is of others.
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
