import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { createContext, Script } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { clientModules, SIGN_ALL } from '../../support/client-modules.ts'
import { SECRET } from '../signature/message.ts'
import { ED25519, startVerifyingServer } from './verifying-server.ts'

const EXPECTED = ['answer', 'answer', 'answer', 'answer', 'string']

describe('portcullis/client runs', () => {
  let server: Awaited<ReturnType<typeof startVerifyingServer>>
  const facts = (): object => ({ origin: server.origin, secret: SECRET, privateKey: ED25519.pem })

  beforeAll(async () => {
    server = await startVerifyingServer()
  })
  afterAll(() => server.close())
  beforeEach(() => {
    server.received.length = 0
  })

  function expectAllVerified(): void {
    expect(server.received.map(({ result, req }) => [result.ok, req.method])).toEqual([
      [true, 'POST'],
      [true, 'GET'],
      [true, 'POST'],
      [true, 'GET'],
    ])
  }

  it('in a realm that has web standards and no Node APIs', async () => {
    const { crypto, fetch, Headers, Request, Response, URL, URLSearchParams, TextEncoder, atob, btoa } =
      globalThis
    const context = createContext({
      crypto,
      fetch,
      Headers,
      Request,
      Response,
      URL,
      URLSearchParams,
      TextEncoder,
      atob,
      btoa,
    })
    const inside = (code: string): unknown => new Script(code).runInContext(context)
    expect(inside('[typeof Buffer, typeof process, typeof require, typeof global].join()')).toBe(
      'undefined,undefined,undefined,undefined',
    )
    const modules = clientModules('commonjs')
    const loaded = new Map<string, object>()
    const load = (path: string): object => {
      const known = loaded.get(path)
      if (known !== undefined) return known
      const exports = {}
      loaded.set(path, exports)
      const factory = inside(`(exports, require) => {${modules.get(path)}\n}`) as (...args: unknown[]) => void
      factory(exports, (target: string) => load(posix.join(posix.dirname(path), target)))
      return exports
    }
    const signAll = inside(`${SIGN_ALL}\nsignAll`) as (client: object, facts: object) => Promise<string[]>
    expect([...(await signAll(load('client/index.ts'), facts()))]).toEqual(EXPECTED)
    expectAllVerified()
  })

  it('in a worker thread', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'portcullis-client-'))
    for (const [path, code] of clientModules('es6')) {
      const file = join(folder, path.replace(/\.ts$/, '.mjs'))
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, code.replace(/(from ["'][^"']+)\.ts(["'])/g, '$1.mjs$2'))
    }
    const main = join(folder, 'worker.mjs')
    await writeFile(
      main,
      `import { parentPort, workerData } from 'node:worker_threads'
import * as client from './client/index.mjs'
${SIGN_ALL}
parentPort.postMessage(await signAll(client, workerData))`,
    )
    const worker = new Worker(main, { workerData: facts() })
    const answers = await new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    await worker.terminate()
    await rm(folder, { recursive: true })
    expect(answers).toEqual(EXPECTED)
    expectAllVerified()
  })
})
