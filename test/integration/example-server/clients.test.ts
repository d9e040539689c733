import { spawn, spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { findPrograms, repository } from '../../support/commands.ts'
import { findPhp } from '../../support/php-binary.ts'
import {
  answerOf,
  CONNECT,
  json,
  SHOP,
  SHOP_KEY,
  shopServer,
  signUp,
  startExampleServer,
  type ExampleServer,
} from '../../support/example-server.ts'

const CLIENTS = [
  { file: 'sign.sh', program: 'bash' },
  { file: 'sign.py', program: 'python3' },
  { file: 'sign.php', program: 'php' },
]

let server: ExampleServer
let php: string
const pathOf = (program: string): string => (program === 'php' ? php : program)
let folder: string | undefined

beforeAll(async () => {
  // No test is skipped if a program is missing: every system has these, and PHP is installed if necessary.
  const needed = ['bash', 'curl', 'openssl', 'od', 'tr', 'python3']
  const absent = needed.filter((program) => findPrograms([program]).length === 0)
  if (absent.length > 0) throw new Error(`The tests need these programs: ${absent.join(', ')}.`)
  php = await findPhp()
  server = await startExampleServer()
  folder = await mkdtemp(join(tmpdir(), 'portcullis-clients-'))
})
afterAll(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true })
  await server?.close()
})

/** Runs a client like a person, and resolves with the printed status and body. */
async function run(
  { file, program }: { file: string; program: string },
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const child = spawn(pathOf(program), [join(repository, 'example-server', 'clients', file), ...args], {
    env: {
      PATH: process.env['PATH'],
      APP_ID: 'shop',
      KEY_ID: SHOP_KEY.id,
      APP_SECRET: SHOP_KEY.secret,
      APP_ORIGIN: SHOP,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [printed, complaints] = await Promise.all([text(child.stdout), text(child.stderr)])
  expect(complaints).toBe('')
  const lines = printed.trim().split('\n')
  return { status: Number(lines.pop()), body: JSON.parse(lines.join('\n')) as Record<string, unknown> }
}

const connect = (): readonly string[] => ['POST', `${server.url}/auth/v2/connect`, JSON.stringify(CONNECT)]

async function accessToken(): Promise<string> {
  const { send } = shopServer()
  const { gateway } = (await (await send(`${server.url}/auth/v2/connect`, json(CONNECT))).json()) as {
    gateway: string
  }
  const visitor = await signUp(server, gateway, { ...ADA_ONCE, email: `${crypto.randomUUID()}@example.org` })
  const { location } = await visitor.submit('consent', { email: 'yes' })
  const { request_id, connect_id, code } = answerOf(location)
  const body = { request_id, connect_id, auth_code: code }
  const response = await send(`${server.url}/auth/v2/token`, json(body))
  return ((await response.json()) as { access_token: string }).access_token
}

const ADA_ONCE = {
  password: 'correct horse battery',
  firstname: 'Ada',
  surname: 'Lovelace',
  country: 'FR',
  language: 'en',
}

describe('the clients in other languages', () => {
  for (const client of CLIENTS) {
    it(`${client.file} signs a POST with a body`, async () => {
      const { status, body } = await run(client, connect())
      expect({ status, body }).toEqual({
        status: 200,
        body: {
          result: 200,
          connect_id: expect.any(String),
          gateway: expect.stringContaining(`${server.url}/gateway/`),
        },
      })
    })

    it(`${client.file} signs a GET with an access token and a query`, async () => {
      const token = await accessToken()
      const args = ['GET', `${server.url}/auth/v2/me?a=b%20c&d`]
      const { status, body } = await run(client, args, { ACCESS_TOKEN: token })
      expect({ status, body }).toEqual({
        status: 200,
        body: { result: 200, user: { firstname: 'Ada', email: expect.any(String) } },
      })
    })

    it(`${client.file} is refused with another secret`, async () => {
      const { status, body } = await run(client, connect(), {
        APP_SECRET: Buffer.alloc(32, 8).toString('base64'),
      })
      expect([status, body['code']]).toEqual([401, 'SIGNATURE_INVALID'])
    })

    it.each([
      ['the arguments', [], {}, 'usage: '],
      ['the secret', ['GET', 'http://127.0.0.1:1/'], { APP_ID: 'shop', KEY_ID: 'shop-1' }, 'APP_SECRET'],
    ] as const)(
      `${client.file} says in one line what is missing (%s), and sends nothing`,
      (_what, args, given, says) => {
        const script = join(repository, 'example-server', 'clients', client.file)
        const { status, stdout, stderr } = spawnSync(pathOf(client.program), [script, ...args], {
          env: { PATH: process.env['PATH'], ...given },
          encoding: 'utf8',
        })
        expect([status === 0, stdout]).toEqual([false, ''])
        expect(stderr.trim().split('\n')).toEqual([expect.stringContaining(says)])
      },
    )

    it(`${client.file} accepts a secret longer than a block of SHA-256`, async () => {
      const secret = Buffer.alloc(100, 9).toString('base64')
      const { policy, revision } = (await server.store.read('shop')) ?? { policy: {}, revision: 0 }
      const keys = [SHOP_KEY, { ...SHOP_KEY, id: 'shop-long', secret }]
      await server.store.write({ policy, keys }, revision)
      const { status } = await run(client, connect(), { KEY_ID: 'shop-long', APP_SECRET: secret })
      expect(status).toBe(200)
    })
  }

  const shell = { file: 'sign.sh', program: 'bash' }
  it('sign.sh puts neither the secret nor the token on a command line', async () => {
    if (folder === undefined) throw new Error('there is no folder')
    const log = join(folder, 'arguments')
    for (const program of ['openssl', 'curl', 'od', 'tr', 'cat', 'date']) {
      const [real = ''] = findPrograms([program])
      const wrapper = join(folder, program)
      await writeFile(wrapper, `#!/bin/sh\nprintf '%s\\n' ${program} "$@" >>'${log}'\nexec '${real}' "$@"\n`)
      await chmod(wrapper, 0o755)
    }
    const path = `${folder}${delimiter}${process.env['PATH'] ?? ''}`
    await run(shell, connect(), { PATH: path, ACCESS_TOKEN: 'token-of-someone' })
    const logged = await readFile(log, 'utf8')
    expect(logged).toContain('curl\n')
    expect(logged).toContain('openssl\n')
    expect(logged).not.toContain(SHOP_KEY.secret)
    expect(logged).not.toContain(Buffer.from(SHOP_KEY.secret, 'base64').toString('hex'))
    expect(logged).not.toContain('token-of-someone')
  })
})
