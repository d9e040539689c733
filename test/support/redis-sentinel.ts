import { askRedis, startRedis, until, type RedisServer } from './redis.ts'

/** A master, its replica, and three sentinels that promote the replica half a second after losing the master. */
export interface RedisSentinel {
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  /** The name of the master for the sentinels. */
  readonly name: string
  /** The server that all sentinels consider the master. Waits up to 20 s while they disagree. */
  master(): Promise<RedisServer>
  /** The other server, whether it runs or not. */
  replica(): Promise<RedisServer>
  stop(): Promise<void>
}

const NAME = 'portcullis'

/** Starts all of them, within a second. `args` apply to the master and the replica. */
export async function startSentinel(options: { args?: readonly string[] } = {}): Promise<RedisSentinel> {
  const { args = [] } = options
  const servers: RedisServer[] = []
  const stop = async (): Promise<void> => void (await Promise.all(servers.map((server) => server.stop())))
  const start = async (more: Parameters<typeof startRedis>[0]): Promise<RedisServer> => {
    const server = await startRedis(more)
    servers.push(server)
    return server
  }
  const data: RedisServer[] = []
  const sentinels: RedisServer[] = []
  try {
    const master = await start({ args })
    const replica = await start({ args: ['--replicaof', '127.0.0.1', String(master.port), ...args] })
    data.push(master, replica)
    // Before the sentinels start, because they check a replica only every ten seconds.
    await until('the replica follows its master', async () =>
      String(await askRedis(replica.port, 'INFO', 'replication')).includes('master_link_status:up'),
    )
    const files = { 'redis.conf': configuration(master.port) }
    for (let count = 0; count < 3; count += 1) sentinels.push(await start({ args: ['--sentinel'], files }))
    await Promise.all(sentinels.map(({ port }) => hurry(port)))
    await until('all sentinels know each other and the replica', async () => {
      const views = await Promise.all(sentinels.map(({ port }) => viewOf(port)))
      return views.every((view) => view === '2 sentinels, slave ok')
    })
  } catch (error) {
    await stop()
    throw error
  }

  async function master(): Promise<RedisServer> {
    let found: RedisServer | undefined
    await until('the sentinels agree on the master', async () => {
      const answers = await Promise.all(
        sentinels.map(({ port }) => askRedis(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)),
      )
      const ports = new Set(answers.map((answer) => Number((answer as string[])[1])))
      found = data.find(({ port }) => ports.size === 1 && ports.has(port))
      return found !== undefined
    })
    return found as RedisServer
  }

  return {
    sentinels: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
    name: NAME,
    master,
    async replica() {
      const { port } = await master()
      return data.find((server) => server.port !== port) as RedisServer
    },
    stop,
  }
}

function configuration(port: number): string {
  return `sentinel monitor ${NAME} 127.0.0.1 ${port} 2
sentinel down-after-milliseconds ${NAME} 500
sentinel failover-timeout ${NAME} 2000
`
}

/**
 * Shortens the intervals of a sentinel. By default they are longer than the timeout after which it considers a server
 * lost, so it would suspect a new master before it first asks it, and replace it with a server that has just restarted.
 * On a busy machine it must not distrust the clock either, which stops it for half a minute. While a master is lost, it
 * asks the replicas once a second, and promotes none that has not answered for five pings. With less than 200 ms
 * between pings it would find none, and try again after four seconds.
 */
async function hurry(sentinel: number): Promise<void> {
  const periods = ['ping-period', 250, 'ask-period', 100, 'publish-period', 200, 'info-period', 500]
  await askRedis(sentinel, 'SENTINEL', 'DEBUG', ...periods, 'tilt-trigger', 20_000).catch(
    (error: unknown) => {
      // Servers before 7.0 do not support these settings. There it only takes longer.
      if (!/unknown (sub)?command/i.test(String(error))) throw error
    },
  )
}

/** A description of what a sentinel knows about the others and the replica. */
async function viewOf(sentinel: number): Promise<string> {
  const master = pairs(await askRedis(sentinel, 'SENTINEL', 'MASTER', NAME))
  const [replica] = (await askRedis(sentinel, 'SENTINEL', 'REPLICAS', NAME)) as unknown[]
  const { flags, 'master-link-status': link } = pairs(replica)
  return `${master['num-other-sentinels']} sentinels, ${flags} ${link}`
}

function pairs(reply: unknown): Record<string, string | undefined> {
  const words = (reply ?? []) as string[]
  return Object.fromEntries(words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1]]] : [])))
}
