import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { repository } from '../../support/commands.ts'
import {
  failToStart,
  killExampleProcess,
  printedCommands,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'

describe('the example server', () => {
  let server: ExampleProcess
  let folder: string | undefined

  beforeAll(async () => {
    server = await startExampleProcess({}, { asNpmStart: true })
    folder = await mkdtemp(join(tmpdir(), 'portcullis-curl-'))
    await writeFile(join(folder, 'curl'), `#!/bin/sh\nexec "${process.execPath}" "${folder}/curl.mjs" "$@"\n`)
    await writeFile(join(folder, 'curl.mjs'), CURL)
    await chmod(join(folder, 'curl'), 0o755)
  })
  afterAll(async () => {
    await killExampleProcess(server)
    if (folder !== undefined) await rm(folder, { recursive: true })
  })

  /** Pastes a command. Where there is no curl, one of ours does what these commands ask of it. */
  const paste = (command: string): Promise<string> =>
    new Promise((resolve) => {
      const env = { ...process.env, PATH: `${process.env['PATH']}:${folder}` }
      execFile('sh', ['-c', command], { cwd: repository, env }, (_error, stdout, stderr) =>
        resolve(stdout + stderr),
      )
    })

  it('says in one screen where it listens, that it forgets, and what to paste', () => {
    expect(server.said.stderr).toBe('')
    expect(server.said.stdout).toContain('everything is forgotten when the server stops')
    expect(server.said.stdout.split('\n').length).toBeLessThan(40)
    expect(printedCommands(server).length).toBe(4)
  })

  const expected = [
    /^200 /,
    /401[\s\S]*SIGNATURE_REQUIRED/,
    /403[\s\S]*ORIGIN_NOT_ALLOWED/,
    /400[\s\S]*RETURN_URL_NOT_ALLOWED/,
  ]
  for (const [index, pattern] of expected.entries()) {
    it(`answers command ${index + 1} as it says, also the second time`, async () => {
      const command = printedCommands(server)[index] ?? ''
      expect(await paste(command)).toMatch(pattern)
      expect(await paste(command)).toMatch(pattern)
    })
  }

  it('shows a front page with the public ids and no secret', async () => {
    const text = await (await fetch(server.url)).text()
    expect(text).toContain('demo-server')
    expect(text).toContain('demo-browser')
    expect(text).not.toMatch(/secret [A-Za-z0-9+/=]{44}|[A-Za-z0-9+/]{43}=/)
  })

  for (const [path, status] of [
    ['/healthz', 200],
    ['/demo', 200],
    ['/assets/style.css', 200],
    ['/nowhere', 404],
    ['/auth/nowhere', 404],
  ] as const) {
    it(`answers GET ${path} with ${status}`, async () => {
      expect((await fetch(server.url + path)).status).toBe(status)
    })
  }
})

describe('what stops the start is said in one line', () => {
  const password = 'open-sesame'
  const cases: [environment: Record<string, string>, line: RegExp][] = [
    [{ PORT: 'abc' }, /PORT.*0 to 65535.*"abc"/],
    [{ REDIS_URL: `redis://user:${password}@127.0.0.1:1` }, /REDIS_URL.*answers/],
  ]
  for (const [environment, line] of cases) {
    it(`a wrong ${Object.keys(environment).join()}`, async () => {
      const { said, code } = await failToStart(environment)
      expect(code).toBe(1)
      expect(said.stdout).toBe('')
      expect(said.stderr).toMatch(line)
      expect(said.stderr.trimEnd().split('\n').length).toBe(1)
      expect(said.stderr).not.toContain(password)
    })
  }

  it('a port that is taken', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const { said, code } = await failToStart({ PORT: String(port) })
    expect(code).toBe(1)
    expect(said.stderr).toMatch(new RegExp(`^[^\\n]*PORT[^\\n]*${port}[^\\n]*\\n$`))
    await new Promise((resolve) => other.close(resolve))
  })
})

describe('being told to stop', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends by ${signal} with 0, and says nothing`, async () => {
      const server = await startExampleProcess()
      await fetch(`${server.url}/healthz`)
      server.signal(signal)
      expect(await server.ended).toBe(0)
      expect(server.said.stderr).toBe('')
    })
  }

  it('closes idle connections at once, cuts off a request that does not come to its end later, and ends with 0', async () => {
    const server = await startExampleProcess()
    const port = Number(new URL(server.url).port)
    const closed: string[] = []
    const open = async (name: string, text: string): Promise<Socket> => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined).on('close', () => closed.push(name))
      await once(socket, 'connect')
      socket.write(text)
      return socket
    }
    // The slow one is the older one: a server that cut off both together would begin with it.
    const head = 'Host: 127.0.0.1\r\nx-app-id: demo-browser\r\nContent-Type: application/json\r\n'
    await open('slow', `POST /auth/v2/connect HTTP/1.1\r\n${head}Content-Length: 9\r\n\r\n{`)
    const idle = await open('idle', 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    expect(String((await once(idle, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /)
    server.signal('SIGTERM')
    expect(await server.ended).toBe(0)
    expect(closed).toEqual(['idle', 'slow'])
  })
})

/** As much of curl as the printed commands need. */
const CURL = `
const args = process.argv.slice(2)
const init = { headers: {} }
let url
while (args.length > 0) {
  const word = args.shift()
  if (word === '-i') continue
  else if (word === '-H') { const [name, ...value] = args.shift().split(': '); init.headers[name] = value.join(': ') }
  else if (word === '-d') { init.method = 'POST'; init.body = args.shift() }
  else url = word
}
const response = await fetch(url, init)
console.log(response.status, await response.text())
`
