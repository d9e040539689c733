import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express } from 'express'
import { answerClientErrors } from './last-resort.ts'
import type { Log } from './log.ts'
import { SettingError, type Settings } from './settings.ts'

/** One location of the gateway, with a server that listens. */
export interface Instance {
  readonly location: string
  /** The URL at which people and apps reach it. */
  readonly url: string
  readonly server: Server
}

/**
 * Starts a server for each location, the first on `PORT` and the others on the ports after it. They do not answer yet.
 */
export async function listen(settings: Settings, log: Log): Promise<Instance[]> {
  const instances: Instance[] = []
  try {
    for (const [index, location] of settings.regions.entries()) {
      const server = createServer()
      answerClientErrors(server, log)
      const port = settings.port === 0 ? 0 : settings.port + index
      await bind(server, port, settings)
      instances.push({ location, server, url: settings.publicUrl ?? urlOf(server, settings.host) })
    }
    return instances
  } catch (error) {
    for (const { server } of instances) server.close()
    throw error
  }
}

/** Lets the app answer the requests of an instance. */
export const serve = ({ server }: Instance, app: Express): void => void server.on('request', app)

async function bind(server: Server, port: number, { host, port: first, regions }: Settings): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  }).catch((error: NodeJS.ErrnoException) => {
    const isPort = error.code === 'EADDRINUSE' || error.code === 'EACCES'
    if (!isPort)
      throw new SettingError(
        `HOST must be an address that this process can listen on; it is ${JSON.stringify(host)} (${error.code}). Set HOST to an address of this machine`,
      )
    const ports = regions.map((region, index) => `${region} on ${first + index}`).join(', ')
    throw new SettingError(
      regions.length === 1 || first === 0
        ? `PORT must be a port that this process can listen on; it is ${first} (${error.code}). Set PORT to a free port, or to 0 for any free port`
        : `PORT is ${first}, so the locations listen on consecutive ports (${ports}), but this process cannot listen on ${port} (${error.code}). Set PORT to the first of ${regions.length} free ports, or to 0 for any free ports, or set REGION to run only one location`,
    )
  })
}

function urlOf(server: Server, given: string): string {
  const { port } = server.address() as AddressInfo
  const host = given === '0.0.0.0' || given === '::' ? '127.0.0.1' : given
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
