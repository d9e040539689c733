import { askRedis, isFree, startRedis, until, type RedisServer } from './redis.ts'

/** A Redis Cluster for one test: masters without replicas, which share the slots evenly. */
export interface RedisCluster {
  readonly nodes: readonly RedisServer[]
  /** The index of the node that has the slot of this key. */
  nodeOf(key: string): Promise<number>
  /** Moves the slot of this key, with all its keys, to the node with this index, like an operator. */
  moveSlotOf(key: string, toNode: number): Promise<void>
  stop(): Promise<void>
}

const SLOTS = 16_384
const BUS = 10_000 // the offset of the port that the nodes use among themselves

/** Starts a Cluster, which takes about two seconds. `args` apply to each of its servers. */
export async function startCluster(
  options: { nodes?: number; args?: readonly string[] } = {},
): Promise<RedisCluster> {
  const { nodes: count = 3, args = [] } = options
  const nodes: RedisServer[] = []
  const stop = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node.stop())))
  try {
    // One after another, because two could find the same free port.
    while (nodes.length < count) {
      nodes.push(
        await startRedis({
          args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', ...args],
          suits: async (port) => port + BUS < 65_536 && (await isFree(port + BUS)),
        }),
      )
    }
    await join(nodes)
  } catch (error) {
    await stop()
    throw error
  }
  const ids = await Promise.all(nodes.map(({ port }) => askRedis(port, 'CLUSTER', 'MYID')))

  async function nodeOf(key: string): Promise<number> {
    const { port } = at(nodes, 0)
    const slot = Number(await askRedis(port, 'CLUSTER', 'KEYSLOT', key))
    const ranges = (await askRedis(port, 'CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][]
    const range = ranges.find(([first, last]) => first <= slot && slot <= last)
    return ids.indexOf(range?.[2][2])
  }

  async function moveSlotOf(key: string, toNode: number): Promise<void> {
    const fromNode = await nodeOf(key)
    if (fromNode === toNode) return
    const [from, to] = [at(nodes, fromNode).port, at(nodes, toNode).port]
    const [fromId, toId] = [String(ids[fromNode]), String(ids[toNode])]
    const slot = Number(await askRedis(from, 'CLUSTER', 'KEYSLOT', key))
    await askRedis(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
    await askRedis(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
    for (;;) {
      const keys = (await askRedis(from, 'CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
      if (keys.length === 0) break
      await askRedis(from, 'MIGRATE', '127.0.0.1', to, '', 0, 5_000, 'KEYS', ...keys)
    }
    // The new owner comes first. Otherwise no node would have the slot meanwhile.
    const others = nodes.map(({ port }) => port).filter((port) => port !== to)
    for (const port of [to, ...others]) await askRedis(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId)
  }

  return { nodes, nodeOf, moveSlotOf, stop }
}

async function join(nodes: readonly RedisServer[]): Promise<void> {
  const share = Math.ceil(SLOTS / nodes.length)
  await Promise.all(
    nodes.map(async ({ port }, index) => {
      const last = Math.min(SLOTS, (index + 1) * share) - 1
      await askRedis(port, 'CLUSTER', 'ADDSLOTSRANGE', index * share, last)
      // Different epochs, so that the nodes need not resolve a conflict.
      await askRedis(port, 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
    }),
  )
  for (const { port } of nodes.slice(1)) {
    await askRedis(at(nodes, 0).port, 'CLUSTER', 'MEET', '127.0.0.1', port)
  }
  await until('all nodes of the Cluster know each other and are ready', async () => {
    const infos = await Promise.all(nodes.map(({ port }) => askRedis(port, 'CLUSTER', 'INFO')))
    return infos.every((info) => {
      const text = String(info)
      return text.includes('cluster_state:ok') && text.includes(`cluster_known_nodes:${nodes.length}\r`)
    })
  })
}

function at(nodes: readonly RedisServer[], index: number): RedisServer {
  const node = nodes[index]
  if (node === undefined) throw new RangeError(`the Cluster has no node ${index}`)
  return node
}
