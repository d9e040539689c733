import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { fileStore, type ManagedPolicyStore } from 'portcullis'
import type { ListStore } from 'portcullis/store'
import { redisStore } from 'portcullis/redis'
import { compiled } from '../../support/compiled.ts'
import { eventually } from '../../support/policy-process.ts'
import { freshPrefix, startRedis, type RedisServer } from '../../support/redis.ts'

interface Setting {
  /** The store of this process, which writes. */
  readonly store: ManagedPolicyStore & ListStore
  /** The arguments with which servers open the same store. */
  readonly place: readonly string[]
  close(): Promise<unknown>
}

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

const settings: Record<string, () => Promise<Setting>> = {
  async fileStore() {
    const directory = await mkdtemp(join(tmpdir(), 'lists-'))
    const path = join(directory, 'policies.json')
    const store = fileStore(path, { create: true })
    return {
      store,
      place: ['file', path],
      close: () => (store.close(), rm(directory, { recursive: true })),
    }
  },
  async redisStore() {
    const prefix = freshPrefix()
    const client = new Redis({ port: redis.port })
    const store = redisStore(client, { prefix })
    return {
      store,
      place: ['redis', String(redis.port), prefix],
      close: async () => (store.close(), client.disconnect()),
    }
  },
}

const refused = { mode: 'enforce', ranges: ['0.0.0.0/0'], denyLists: ['bad'] }
const admitted = { mode: 'enforce', lists: ['good'] }

for (const [name, open] of Object.entries(settings)) {
  describe(`named lists of a ${name}, in two other processes`, () => {
    let setting: Setting
    let servers: ChildProcess[]
    let ports: number[]

    beforeAll(async () => {
      setting = await open()
      const program = compiled('test/support/listed-server.ts')
      servers = [1, 2].map(() => fork(program, [...setting.place], { execArgv: [] }))
      ports = await Promise.all(
        servers.map(async (server) => ((await once(server, 'message')) as [number])[0]),
      )
    })
    afterAll(async () => {
      for (const server of servers) server.disconnect()
      await setting.close()
    })

    async function ask(port: number, address: string): Promise<number> {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-forwarded-for': address } })
      await response.arrayBuffer()
      return response.status
    }

    /** Waits until all servers answer with this status. */
    async function answers(address: string, status: number): Promise<void> {
      for (const port of ports)
        await eventually(`${address}: ${status}`, async () => (await ask(port, address)) === status)
    }

    async function protect(ipWhitelist: object): Promise<void> {
      const revision = (await setting.store.read('a'))?.revision ?? 0
      await setting.store.write({ policy: { appId: 'a', ipWhitelist } }, revision)
    }

    async function put(list: string, ...entries: readonly (string | { range: string; expires: string })[]) {
      const revision = (await setting.store.readList(list))?.revision ?? 0
      const written = entries.map((entry) => (typeof entry === 'string' ? { range: entry } : entry))
      await setting.store.writeList(list, written, revision)
    }

    it('apply an entry until the second it expires, without a restart', async () => {
      const moment = Date.now() + 5_000
      const expires = new Date(moment).toISOString()
      await protect({ ...admitted, denyLists: ['bad'] })
      await put('good', { range: '192.0.2.1', expires }, '192.0.2.2', '192.0.2.3')
      await put('bad', { range: '192.0.2.3', expires })
      await answers('192.0.2.1', 200)
      await answers('192.0.2.2', 200)
      await answers('192.0.2.3', 403)
      expect(Date.now()).toBeLessThan(moment)
      const early: [number, string, number][] = []
      while (Date.now() < moment + 300) {
        for (const port of ports) {
          for (const [address, before, after] of [
            ['192.0.2.1', 200, 403],
            ['192.0.2.2', 200, 200],
            ['192.0.2.3', 403, 200],
          ] as const) {
            const asked = Date.now()
            const status = await ask(port, address)
            // Between the two readings of the clock, both are right.
            const right = Date.now() < moment ? [before] : asked >= moment ? [after] : [before, after]
            if (!(right as number[]).includes(status)) early.push([asked - moment, address, status])
          }
        }
        await sleep(5)
      }
      expect(early).toEqual([])
    })

    it('are replaced in one step under load: no caller sees a partial list, and no request is lost', async () => {
      await protect(admitted)
      const many = Array.from({ length: 20_000 }, (_, index) => `10.1.${index >> 8}.${index & 255}`)
      const generation = (number: number): string[] => ['192.0.2.1', `198.51.100.${number}`, ...many]
      await put('good', ...generation(0))
      await answers('198.51.100.0', 200)
      let [done, current] = [false, 0]
      const wrong: string[] = []
      const callers = ports.map(async (port) => {
        let newest = 0
        for (let asked = 0; !done; asked += 1) {
          const always = await ask(port, '192.0.2.1')
          if (always !== 200) wrong.push(`the address of every list: ${always}`)
          // After a newer list has been seen, an older one must not be seen again.
          const number = asked % (current + 1)
          const status = await ask(port, `198.51.100.${number}`)
          if (status === 200 && number < newest) wrong.push(`${number} after ${newest}`)
          if (status === 200) newest = number
          else if (status !== 403) wrong.push(`${number}: ${status}`)
        }
      })
      for (current = 1; current <= 5; current += 1) await put('good', ...generation(current))
      current = 5
      await answers('198.51.100.5', 200)
      done = true
      await Promise.all(callers)
      expect(wrong).toEqual([])
      for (let number = 0; number < 5; number += 1) await answers(`198.51.100.${number}`, 403)
    })

    it('of `denyLists` win, and a missing one admits nobody at all; a missing one of `lists` admits nobody by itself', async () => {
      await put('bad', '192.0.2.7')
      await protect(refused)
      await answers('192.0.2.8', 200)
      await answers('192.0.2.7', 403)
      await setting.store.removeList('bad', (await setting.store.readList('bad'))?.revision ?? 0)
      await answers('192.0.2.8', 403)
      await put('bad', '192.0.2.8')
      await answers('192.0.2.7', 200)
      await answers('192.0.2.8', 403)
      await put('good', '192.0.2.1')
      await protect(admitted)
      await answers('192.0.2.1', 200)
      await setting.store.removeList('good', (await setting.store.readList('good'))?.revision ?? 0)
      await answers('192.0.2.1', 403)
    })
  })
}
