import { askRedis, startRedis, until, type RedisServer } from './redis.ts'

/** A master, a replica of it, and three sentinels that promote the replica half a second after the master was lost. */
export interface RedisSentinel {
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  /** What the sentinels call the master. */
  readonly name: string
  /** The server that all sentinels hold for the master; while they disagree it waits, at most 20 s. */
  master(): Promise<RedisServer>
  /** The other one, whether it runs or not. */
  replica(): Promise<RedisServer>
  stop(): Promise<void>
}

const NAME = 'portcullis'

/** Starts them, within a second. `args` are for the master and the replica. */
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
    // Before the sentinels, for by themselves they look at a replica every ten seconds only.
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
 * Their own rhythm is slower than the time after which they hold a server for lost: they would suspect a new master before
 * they ask it for the first time, and give its place to one that is just back. A busy machine must not make them
 * distrust the clock either, which stops them for half a minute. While a master is lost they ask its replicas once a second,
 * and promote none that they have not heard for five pings: with less than 200 ms between those they would find none, and
 * try again after four seconds.
 */
async function hurry(sentinel: number): Promise<void> {
  const periods = ['ping-period', 250, 'ask-period', 100, 'publish-period', 200, 'info-period', 500]
  await askRedis(sentinel, 'SENTINEL', 'DEBUG', ...periods, 'tilt-trigger', 20_000).catch(
    (error: unknown) => {
      // Servers before 7.0 cannot be told; there it only takes longer.
      if (!/unknown (sub)?command/i.test(String(error))) throw error
    },
  )
}

/** What a sentinel knows of the others and of the replica, in words. */
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
