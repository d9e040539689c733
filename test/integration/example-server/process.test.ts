import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { repository } from '../../support/commands.ts'
import { ADA, arrivedCode, Visitor } from '../../support/example-server.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'
import { startTlsRedis } from '../../support/redis-tls.ts'
import {
  failToStart,
  killExampleProcess,
  printedCommands,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'

async function until<T>(find: () => T | undefined): Promise<T> {
  for (;;) {
    const found = find()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

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

  /** Runs a pasted command. If curl is missing, a small replacement is used. */
  const paste = (command: string): Promise<string> =>
    new Promise((resolve) => {
      const env = { ...process.env, PATH: `${process.env['PATH']}:${folder}` }
      execFile('sh', ['-c', command], { cwd: repository, env }, (_error, stdout, stderr) =>
        resolve(stdout + stderr),
      )
    })

  /** Starts a command that waits. */
  const start = (command: string): { output: () => string; ended: Promise<number | null> } => {
    const child = spawn('sh', ['-c', command], { cwd: repository })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
    return { output: () => text, ended: new Promise((settle) => child.once('close', settle)) }
  }

  it('prints on one screen where it listens, that its data is temporary, and commands to paste', () => {
    expect(server.said.stderr).toBe('')
    expect(server.said.stdout).toContain('lost when the server stops')
    expect(server.said.stdout.split('\n').length).toBeLessThan(45)
    expect(printedCommands(server).length).toBe(5)
  })

  const expected = [
    undefined, // waits for a person: see below
    /401[\s\S]*SIGNATURE_REQUIRED/,
    /403[\s\S]*ORIGIN_NOT_ALLOWED/,
    /400[\s\S]*RETURN_URL_NOT_ALLOWED/,
  ]
  for (const [index, pattern] of expected.entries()) {
    if (pattern === undefined) continue
    it(`answers command ${index + 1} as printed, also the second time`, async () => {
      const command = printedCommands(server)[index] ?? ''
      expect(await paste(command)).toMatch(pattern)
      expect(await paste(command)).toMatch(pattern)
    })
  }

  it('explains with command 5 why the last request was refused, but only with the token', async () => {
    await paste(printedCommands(server)[2] ?? '')
    const why = printedCommands(server)[4] ?? ''
    const told = await paste(why)
    expect(told).toContain('"code": "ORIGIN_NOT_ALLOWED"')
    expect(told).toContain('https://evil.example')
    expect(await paste(why.replace(/Bearer [\w-]+/, 'Bearer guessed'))).not.toContain('evil')
    expect((await fetch(`${server.url}/why`)).status).toBe(401)
  })

  it('completes the flow with command 1, from connect to me, also for a person whose data is in Dallas', async () => {
    for (const country of ['FR', 'US']) {
      const { output, ended } = start(printedCommands(server)[0] ?? '')
      const link = await until(() => /^ {2}(http:\S+)$/m.exec(output())?.[1])
      const profile = { ...ADA, country, email: `${country}@example.org` }
      const visitor = new Visitor()
      await visitor.open(`${link}/sign-up`)
      let answer = await visitor.submit('sign-up', profile)
      if (country === 'US') {
        expect(answer.status).toBe(421)
        // The form is taken along, except the password.
        await visitor.follow(await visitor.submit('sign-up/begun'))
        expect(visitor.url).not.toContain(server.url)
        expect(visitor.page?.html).toContain(`value="${profile.email}"`)
        answer = await visitor.submit('sign-up', profile)
      }
      await visitor.follow(answer)
      const code = await arrivedCode(server, profile.email)
      await visitor.follow(await visitor.submit('confirm', { code }))
      const { location } = await visitor.submit('consent', { email: 'yes' })
      expect(await (await fetch(location ?? '')).text()).toContain('You are signed in')
      expect(await ended).toBe(0)
      expect(output()).toMatch(/connect:\n200[^]*token:\n200[^]*me, [^]*\n200[^]*'Ada'/)
      expect(output()).toContain(profile.email)
    }
  })

  it('reports a wrong secret or address of command 1 in one line', async () => {
    const command = printedCommands(server)[0] ?? ''
    const secret = start(command.replace(/DEMO_SECRET='[^']{9}/, "DEMO_SECRET='"))
    expect(await secret.ended).toBe(1)
    expect(secret.output()).toMatch(/^DEMO_SECRET is not the secret printed by `npm start`: [^\n]*\n$/)
    const closed = createServer()
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`
    await new Promise((resolve) => closed.close(resolve))
    const address = start(command.replace(server.url, url))
    expect(await address.ended).toBe(1)
    expect(address.output()).toContain(`${url} does not answer (ECONNREFUSED): is it running?\n`)
    expect(address.output()).not.toContain('node:internal')
  })

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

/** A server that never answers like Redis. */
async function listenWith(answer: string | undefined): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined))
    if (answer !== undefined) socket.end(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

describe('a failed start is explained in one line', () => {
  const password = 'open-sesame'
  let redis: RedisServer
  let tls: RedisServer
  let silent: Awaited<ReturnType<typeof listenWith>>
  let http: Awaited<ReturnType<typeof listenWith>>
  beforeAll(async () => {
    redis = await startRedis({ args: ['--requirepass', password] })
    tls = await startTlsRedis()
    silent = await listenWith(undefined)
    http = await listenWith('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
  })
  afterAll(async () => {
    await redis?.stop()
    await tls?.stop()
    silent?.close()
    http?.close()
  })
  const port = (): string => new URL(redis.url).port

  const cases: [what: string, environment: () => Record<string, string>, line: RegExp][] = [
    ['a wrong PORT', () => ({ PORT: 'abc' }), /PORT.*0 to 65535.*"abc"/],
    [
      'a NODE_ENV that is not known',
      () => ({ NODE_ENV: 'prod' }),
      /NODE_ENV.*development, test or production.*"prod"/,
    ],
    [
      'a HOST of another machine',
      () => ({ HOST: '192.0.2.1', PUBLIC_URL: 'https://gateway.example' }),
      /HOST.*"192\.0\.2\.1" \(EADDRNOTAVAIL\)/,
    ],
    [
      'a Redis that is not there',
      () => ({ REDIS_URL: `redis://user:${password}@127.0.0.1:1` }),
      /REDIS_URL.*127\.0\.0\.1:1: the connection was refused \(ECONNREFUSED\)\. Start Redis/,
    ],
    [
      'a host that has no address',
      () => ({ REDIS_URL: `redis://:${password}@redis.invalid` }),
      /REDIS_URL.*redis\.invalid:6379: there is no such host/,
    ],
    [
      'a Redis that wants a password',
      () => ({ REDIS_URL: `redis://127.0.0.1:${port()}` }),
      /REDIS_URL.*: the server requires a password \(NOAUTH\)/,
    ],
    [
      'a wrong password',
      () => ({ REDIS_URL: `redis://:wrong-${password}@127.0.0.1:${port()}` }),
      /REDIS_URL.*: the user or the password is wrong \(WRONGPASS\)/,
    ],
    [
      'a database that does not exist',
      () => ({ REDIS_URL: `redis://:${password}@127.0.0.1:${port()}/99` }),
      /REDIS_URL.*: the server has no database 99\. Correct the number/,
    ],
    [
      'TLS to a Redis without',
      () => ({ REDIS_URL: `rediss://:${password}@127.0.0.1:${port()}` }),
      /REDIS_URL.*: (?:it does not speak TLS|no answer in time\. .* with TLS)/,
    ],
    [
      'a certificate that nobody trusts',
      () => ({ REDIS_URL: tls.url }),
      /REDIS_URL.*: the server's certificate is not trusted\. Set NODE_EXTRA_CA_CERTS/,
    ],
    [
      'a server that is silent',
      () => ({ REDIS_URL: `redis://:${password}@127.0.0.1:${silent.port}` }),
      /REDIS_URL.*: no answer in time\. Check the host, the port and the firewall, and that the server speaks Redis without TLS/,
    ],
    [
      'a server that is not Redis',
      () => ({ REDIS_URL: `redis://127.0.0.1:${http.port}` }),
      /REDIS_URL.*: the server closed the connection\. Check that it is Redis/,
    ],
  ]
  for (const [what, environment, line] of cases) {
    it(`for example: ${what}`, async () => {
      const { said, code } = await failToStart(environment())
      expect(code).toBe(1)
      expect(said.stdout).toBe('')
      expect(said.stderr).toMatch(line)
      expect(said.stderr.trimEnd().split('\n').length).toBe(1)
      expect(said.stderr).not.toContain(password)
    })
  }

  it('a port that is in use', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const { said, code } = await failToStart({ PORT: String(port) })
    expect(code).toBe(1)
    expect(said.stderr).toMatch(new RegExp(`^[^\\n]*PORT[^\\n]*${port}[^\\n]*\\n$`))
    await new Promise((resolve) => other.close(resolve))
  })
})

describe('the second of three ports, if it is in use', () => {
  it('makes the start fail, with a line that says how to run one location', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const { said, code } = await failToStart({ PORT: String(port - 1) })
    expect(code).toBe(1)
    expect(said.stderr).toMatch(
      new RegExp(
        `^[^\\n]*PORT is ${port - 1}, [^\\n]*frankfurt on ${port}, [^\\n]*cannot listen on ${port} \\(EADDRINUSE\\)[^\\n]*set REGION[^\\n]*\\n$`,
      ),
    )
    await new Promise((resolve) => other.close(resolve))
  })
})

describe('a signal to stop', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`makes the server exit with 0 on ${signal}, without output`, async () => {
      const server = await startExampleProcess()
      await fetch(`${server.url}/healthz`)
      server.signal(signal)
      expect(await server.ended).toBe(0)
      expect(server.said.stderr).toBe('')
    })
  }

  it('closes idle connections at once, cuts off unfinished requests later, and exits with 0', async () => {
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
    // The slow request is the older one. A server that cut off both would start with it.
    const head = 'Host: 127.0.0.1\r\nx-app-id: demo-browser\r\nContent-Type: application/json\r\n'
    await open('slow', `POST /auth/v2/connect HTTP/1.1\r\n${head}Content-Length: 9\r\n\r\n{`)
    const idle = await open('idle', 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    expect(String((await once(idle, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /)
    server.signal('SIGTERM')
    expect(await server.ended).toBe(0)
    expect(closed).toEqual(['idle', 'slow'])
  })
})

/** A minimal curl with the options of the printed commands. */
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
