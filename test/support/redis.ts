import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { findRedisServer } from './redis-binary.ts'

/** A long command timeout in milliseconds, for tests in which the speed of Redis does not matter. */
export const PATIENT = 20_000

/** A Redis server for one test, on a free port of the loopback address. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  /** The id of the current process. It changes with `restart()`. */
  readonly pid: number
  /** Shuts it down, and removes its data. */
  stop(): Promise<void>
  /** Kills the process. The data remain. */
  kill(): Promise<void>
  /** Pauses the process: connections stay open, and it does not answer. */
  pause(): void
  resume(): void
  /** Shuts it down if it runs, and starts it again on the same port with the same data. */
  restart(): Promise<void>
}

/** Options of a special server. */
export interface RedisOptions {
  /** Further arguments, which override ours. */
  readonly args?: readonly string[] | ((port: number) => readonly string[])
  /** Files in its working folder, by name. `redis.conf` is its configuration, which it may rewrite. */
  readonly files?: Readonly<Record<string, string>>
  /** Whether a free port is suitable. Default: every port is. */
  readonly suits?: (port: number) => Promise<boolean>
  /** Connects to it, to check whether it is ready. Default: plain TCP. */
  readonly connect?: (port: number) => Socket
}

const withoutPersistence = ['--save', '', '--appendonly', 'no', '--repl-diskless-sync-delay', '0']

/**
 * Starts a Redis server that ends with this process, even if this process is killed. It stores nothing on disk unless
 * `args` say so, for example `['--appendonly', 'yes', '--appendfsync', 'always']`. Call `stop()` in `afterAll`.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const program = await findRedisServer()
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-redis-'))
  const launch = (port: number): Promise<ChildProcess> => spawnServer(program, port, folder, options)

  let port = 0
  let server: ChildProcess | undefined
  // Another process may take the free port before the server binds it.
  for (let attempt = 1; server === undefined; attempt += 1) {
    port = await freePort(options.suits)
    server = await launch(port).catch((error: unknown) => {
      if (attempt < 5 && String(error).includes('Address already in use')) return undefined
      throw error
    })
  }
  let running = server

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return pidOf(running)
    },
    async stop() {
      await end(running, 'SIGTERM')
      await rm(folder, { recursive: true, force: true })
    },
    kill: () => end(running, 'SIGKILL'),
    pause: () => void process.kill(pidOf(running), 'SIGSTOP'),
    resume: () => void process.kill(pidOf(running), 'SIGCONT'),
    async restart() {
      await end(running, 'SIGTERM')
      await mkdir(folder, { recursive: true })
      running = await launch(port)
    },
  }
}

/** The Redis that all integration tests share. Use {@link freshPrefix}, and never stop, pause or flush it. */
export function sharedRedisUrl(): string {
  const url = process.env['TEST_REDIS_URL']
  if (url === undefined)
    throw new Error('only tests in test/integration have a shared Redis: see jest.config.mjs')
  return url
}

/** A key prefix that no other test uses. */
export function freshPrefix(): string {
  return `test:${randomUUID()}:`
}

/** Sends one command to a server on the loopback address, on a separate connection, and resolves with the answer. */
export async function askRedis(
  port: number,
  command: string,
  ...args: (string | number)[]
): Promise<unknown> {
  const redis = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    commandTimeout: 5_000,
    disconnectTimeout: 50,
  })
  redis.on('error', () => {}) // the rejected command reports it
  try {
    return await redis.call(command, ...args)
  } finally {
    redis.disconnect()
  }
}

/** Waits until a condition is true. `what` describes it in the error after 60 s. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within 60 s: ${what}`)
    await sleep(20)
  }
}

/** Whether no process listens on this port of the loopback address. */
export async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

/*
 * The watcher reads a pipe that only this process keeps open. If the pipe ends without a message, this process has
 * died, and the watcher kills the server, which has the process id of the shell that it replaced.
 */
const guarded = '{ read -r word <&3 || kill -9 $$; } >/dev/null 2>&1 & exec "$@" 3<&-'

/** How long a server may take to start, in milliseconds. Loading a large append-only file on a busy machine takes minutes. */
const STARTS_WITHIN = 300_000

async function spawnServer(
  program: string,
  port: number,
  folder: string,
  { args = [], files = {}, connect = overTcp }: RedisOptions,
): Promise<ChildProcess> {
  for (const [name, content] of Object.entries(files)) await writeOnce(join(folder, name), content)
  const configuration = 'redis.conf' in files ? ['redis.conf'] : []
  const more = typeof args === 'function' ? args(port) : args
  const own = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--loglevel', 'warning']
  const command = [program, ...configuration, ...own, ...withoutPersistence, ...more]
  const child = spawn('/bin/sh', ['-c', guarded, 'sh', ...command], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const [, stdout, stderr, watch] = child.stdio
  let said = ''
  stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  watch?.on('error', () => {}) // the watcher may have ended first
  child.once('exit', () => {
    const pipe = watch as Socket
    pipe.end('ended\n', () => pipe.destroy())
  })

  const deadline = Date.now() + STARTS_WITHIN
  while (!(await isReady(connect(port)))) {
    if (child.exitCode !== null || child.signalCode !== null) {
      await sleep(20) // for its last output
      throw new Error(`redis-server on port ${port} ended while starting: ${said.trim()}`)
    }
    if (Date.now() > deadline) {
      await end(child, 'SIGKILL')
      throw new Error(
        `redis-server on port ${port} did not answer within ${STARTS_WITHIN / 1_000} s: ${said.trim()}`,
      )
    }
    await sleep(5)
  }
  return child
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGCONT') // a paused process does not handle SIGTERM
  child.kill(signal)
  const overdue = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(overdue)
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('the redis-server was not started')
  return pid
}

/** Any answer to PING counts, except "loading": a server that requires a password is ready too. */
async function isReady(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (ready: boolean): void => {
      socket.destroy()
      resolve(ready)
    }
    socket.setTimeout(1_000, () => settle(false))
    socket.once('error', () => settle(false))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (answer) => settle(/^(\+PONG|-NOAUTH|-DENIED|-NOPERM)/.test(answer.toString())))
  })
}

function overTcp(port: number): Socket {
  return createConnection({ host: '127.0.0.1', port })
}

/** Writes a file only if it is missing, because a restarted server must find its files unchanged. */
async function writeOnce(file: string, content: string): Promise<void> {
  await writeFile(file, content, { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
}

async function freePort(suits?: RedisOptions['suits']): Promise<number> {
  for (let attempt = 1; attempt <= 100; attempt += 1) {
    const port = await someFreePort()
    if (suits === undefined || (await suits(port))) return port
  }
  throw new Error('none of 100 free ports will do')
}

async function someFreePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', resolve)
  })
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}
