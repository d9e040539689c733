import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync, type WriteStream } from 'node:fs'
import { cp } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startThreePlaces, type PlaceName, type ThreePlaces } from '../region.ts'
import { startTcpProxy } from '../tcp-proxy.ts'
import { searchFolder, type Form, type Found } from './traces.ts'

/** Settings without compression, which would hide the searched data. */
const READABLE = [
  '--appendonly',
  'yes',
  '--appendfsync',
  'always',
  '--aof-use-rdb-preamble',
  'no',
  '--rdbcompression',
  'no',
]

export type Witness = 'wire' | 'monitor' | 'files of Redis' | 'log of the application'

/** Three servers, and records of everything that Dallas receives. */
export interface WatchedWorld {
  readonly places: ThreePlaces
  /** Writes to the log of an application that sends its lines to Dallas. */
  log(line: string): void
  /** Searches everything that a location has received so far. */
  search(place: PlaceName, forms: readonly Form[]): Promise<Readonly<Record<Witness, Found>>>
  /** Starts MONITOR again after a server was restarted. */
  monitor(): void
  stop(): Promise<void>
}

export async function startWatchedWorld(): Promise<WatchedWorld> {
  const home = mkdtempSync(join(tmpdir(), 'portcullis-region-proof-'))
  const wires = new Map<string, WriteStream>()
  const places = await startThreePlaces(READABLE, (port, place) => {
    mkdirSync(join(home, place, 'wire'), { recursive: true })
    return startTcpProxy(port, (bytes, stream) => {
      const path = join(home, place, 'wire', String(stream))
      let file = wires.get(path)
      if (file === undefined) wires.set(path, (file = createWriteStream(path)))
      file.write(bytes)
    })
  })
  const monitors = new Map<PlaceName, Socket>()
  const monitored = new Map<PlaceName, WriteStream>()
  mkdirSync(join(home, 'dallas', 'log'), { recursive: true })
  const logFile = createWriteStream(join(home, 'dallas', 'log', 'application'))
  for (const place of ['dallas', 'london'] as const) {
    mkdirSync(join(home, place, 'monitor'), { recursive: true })
    monitored.set(place, createWriteStream(join(home, place, 'monitor', 'lines')))
  }
  const monitor = (): void => {
    for (const [place, file] of monitored) {
      monitors.get(place)?.destroy()
      const socket = connect({ host: '127.0.0.1', port: places.servers[place].port })
      socket.on('error', () => {})
      socket.on('data', (chunk) => file.write(chunk))
      socket.write('MONITOR\r\n')
      monitors.set(place, socket)
    }
  }
  monitor()

  async function search(place: PlaceName, forms: readonly Form[]): Promise<Record<Witness, Found>> {
    await Promise.all([...wires.values(), ...monitored.values(), logFile].map(flushed))
    // The snapshot contains the current data. The append-only file contains everything that was ever written.
    await places.ask(place, 'SAVE')
    const [, dir] = (await places.ask(place, 'CONFIG', 'GET', 'dir')) as [string, string]
    const copy = mkdtempSync(join(home, 'files-'))
    await cp(dir, copy, { recursive: true })
    try {
      mkdirSync(join(home, place, 'monitor'), { recursive: true })
      mkdirSync(join(home, place, 'log'), { recursive: true })
      return {
        wire: await searchFolder(join(home, place, 'wire'), forms),
        monitor: await searchFolder(join(home, place, 'monitor'), forms),
        'files of Redis': await searchFolder(copy, forms),
        'log of the application': await searchFolder(join(home, place, 'log'), forms),
      }
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  }

  return {
    places,
    log: (line) => void logFile.write(`${line}\n`),
    search,
    monitor,
    async stop() {
      for (const socket of monitors.values()) socket.destroy()
      await places.stop()
      for (const file of [...wires.values(), ...monitored.values(), logFile]) file.end()
      writeFileSync(join(home, 'ended'), '')
      rmSync(home, { recursive: true, force: true })
    },
  }
}

function flushed(file: WriteStream): Promise<void> {
  return new Promise((resolve) => file.write('', () => resolve()))
}
