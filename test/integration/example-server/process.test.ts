import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  FOLDER,
  printedCommands,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'

describe('the example server', () => {
  let server: ExampleProcess
  let folder: string

  beforeAll(async () => {
    server = await startExampleProcess()
    folder = await mkdtemp(join(tmpdir(), 'portcullis-curl-'))
    await writeFile(join(folder, 'curl'), `#!/bin/sh\nexec "${process.execPath}" "${folder}/curl.mjs" "$@"\n`)
    await writeFile(join(folder, 'curl.mjs'), CURL)
    await chmod(join(folder, 'curl'), 0o755)
  })
  afterAll(async () => {
    server.signal('SIGKILL')
    await server.ended
    await rm(folder, { recursive: true })
  })

  /** Pastes a command. Where there is no curl, one of ours does what these commands ask of it. */
  const paste = (command: string): Promise<string> =>
    new Promise((resolve) => {
      const env = { ...process.env, PATH: `${process.env['PATH']}:${folder}` }
      execFile('sh', ['-c', command], { cwd: FOLDER, env }, (_error, stdout, stderr) =>
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
      const { said, ended } = await startExampleProcess(environment)
      expect(await ended).toBe(1)
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
    const { said, ended } = await startExampleProcess({ PORT: String(port) })
    expect(await ended).toBe(1)
    expect(said.stderr).toMatch(new RegExp(`^[^\\n]*PORT[^\\n]*${port}[^\\n]*\\n$`))
    await new Promise((resolve) => other.close(resolve))
  })
})

describe('being told to stop', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends by ${signal} with 0, with connections that idle`, async () => {
      const server = await startExampleProcess()
      await fetch(`${server.url}/healthz`)
      const began = Date.now()
      server.signal(signal)
      expect(await server.ended).toBe(0)
      expect(Date.now() - began).toBeLessThan(3_000)
      expect(server.said.stderr).toBe('')
    })
  }

  it('ends with 0 within five seconds although a request does not come to its end', async () => {
    const server = await startExampleProcess()
    const slow = fetch(`${server.url}/auth/v2/connect`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-app-id': 'demo-browser', origin: server.url },
      body: new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{')) }),
      duplex: 'half',
    } as unknown as RequestInit).catch(() => 'cut off')
    await new Promise((resolve) => setTimeout(resolve, 300))
    const began = Date.now()
    server.signal('SIGTERM')
    expect(await server.ended).toBe(0)
    expect(Date.now() - began).toBeLessThan(5_000)
    expect(await slow).toBe('cut off')
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
