import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPrograms, isRoot, run } from '../support/commands.ts'
import { byApt, findOrInstall, isInstalled } from '../support/programs.ts'

export interface Postgres {
  readonly url: string
  stop(): Promise<void>
}

/** The folders in which Debian installs the programs of each version. */
async function foldersOfDebian(): Promise<string[]> {
  const versions = await readdir('/usr/lib/postgresql').catch((): string[] => [])
  return versions.map((version) => join('/usr/lib/postgresql', version, 'bin'))
}

async function program(name: string): Promise<string> {
  const folders = await foldersOfDebian()
  return findOrInstall({
    what: 'a PostgreSQL server',
    variable: `POSTGRES_${name.toUpperCase()}`,
    candidates: () => findPrograms([name], [...folders, '/usr/local/bin', '/opt/homebrew/bin']),
    waysToInstall: isRoot && isInstalled('apt-get') ? [byApt('postgresql')] : [],
    advice: 'install PostgreSQL',
  })
}

/** The user that runs the server, because PostgreSQL refuses to run as root. */
async function owner(): Promise<{ uid: number; gid: number } | undefined> {
  if (!isRoot) return undefined
  const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, 'postgres'])))
  return { uid: Number(uid?.output), gid: Number(gid?.output) }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts a server on a free port, with an empty database. */
export async function startPostgres(): Promise<Postgres> {
  const [initdb, postgres, as, port] = await Promise.all([
    program('initdb'),
    program('postgres'),
    owner(),
    freePort(),
  ])
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-postgres-'))
  if (as !== undefined) await chown(folder, as.uid, as.gid)
  const data = join(folder, 'data')
  const made = spawn(
    initdb,
    ['-D', data, '-U', 'test', '--auth', 'trust', '--no-sync', '-E', 'UTF8', '--locale', 'C'],
    {
      ...as,
      cwd: folder,
      stdio: 'ignore',
    },
  )
  const [code] = (await once(made, 'exit')) as [number]
  if (code !== 0) throw new Error(`initdb ended with ${code}`)
  const settings = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-F']
  const server = spawn(postgres, settings, { ...as, cwd: folder, stdio: 'ignore' })
  await untilListening(port, server)
  return {
    url: `postgresql://test@127.0.0.1:${port}/postgres`,
    async stop() {
      // It ends after its clients have disconnected.
      server.kill('SIGTERM')
      if (server.exitCode === null) await once(server, 'exit')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function untilListening(port: number, server: ChildProcess): Promise<void> {
  while (server.exitCode === null) {
    const socket = connect(port, '127.0.0.1')
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (connected) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`postgres ended with ${server.exitCode}`)
}
