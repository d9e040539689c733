/** Measures memory and CPU time of each layer of the code, inside the server process. */
import { Session, type HeapProfiler, type Profiler } from 'node:inspector'

/** Costs by layer, in bytes or microseconds. */
export type Shares = Readonly<Record<string, number>>

/** Express, Node and the benchmark, unless a guard called them. */
const AROUND = 'Express and Node'
const COLLECTION = 'garbage collection'

/** The layers of the sources, by their path in `src`. The first match counts. */
const LAYERS: readonly (readonly [layer: string, files: RegExp])[] = [
  ['signature', /^signature\/(?!nonces)/],
  ['nonces', /^(?:signature\/nonces|http\/(?:nonce-claim|signed-requests))/],
  ['audit: the line', /^audit\/(?:line|json-text)/],
  ['audit: recorder and sink', /^audit\/(?:recorder|sink)/],
  [
    'audit: the record',
    /^(?:audit\/|random-id|guards\/audit|http\/(?:audit|request-reads|request\/(?:route|actor)))/,
  ],
  ['gate', /^http\/response\/(?:gate|connection|holder|delivery|http2|adapter)/],
  ['headers of the response', /^http\/response\//],
  ['regionPin', /^(?:jurisdiction\/|(?:guards|http)\/region|http\/adequacy)/],
  [
    'ipWhitelist',
    /^(?:match\/(?:ip|client-address)|(?:guards|http)\/ip|http\/request\/(?:client|usual|address))/,
  ],
  [
    'returnUrlGuard',
    /^(?:match\/(?:return|relative|percent|parameter)|(?:guards|http)\/return|http\/request\/(?:parameters|return))/,
  ],
  ['domainProtect', /^(?:match\/|(?:guards|http)\/domain)/],
  ['serverOnly', /^(?:guards|http)\/server-only/],
  ['app and policy', /^(?:source\/|policy\/|http\/judged-request)/],
  ['facts and context', /^http\/request\//],
  ['chain', /./],
]

function layerOf(url: string, around: string): string {
  const source = /\/src\/(.*)$/.exec(url)?.[1]
  if (source !== undefined && !url.includes('/node_modules/'))
    return LAYERS.find(([, files]) => files.test(source))?.[0] ?? around
  // Code of Node belongs to the layer that called it.
  return url.includes('/node_modules/') || url.endsWith('/bench/chain/server.ts') ? AROUND : around
}

/** The sampling intervals in bytes and in microseconds, small enough to see functions that are called rarely. */
const BYTES = 256
const MICROSECONDS = 200

let memory: Session | undefined
let time: Session | undefined

/** The bytes allocated since the last call. The first call starts the profiler. */
export function takeMemory(): Shares {
  const shares: Record<string, number> = {}
  if (memory === undefined) {
    memory = new Session()
    memory.connect()
  } else {
    // The inspector of the own process answers synchronously.
    memory.post('HeapProfiler.stopSampling', (error, answer) => {
      if (error === null) addMemory(answer.profile.head, AROUND, shares)
    })
  }
  memory.post('HeapProfiler.startSampling', {
    samplingInterval: BYTES,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
  return shares
}

function addMemory(
  { callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode,
  around: string,
  shares: Record<string, number>,
): void {
  const layer = layerOf(callFrame.url, around)
  shares[layer] = (shares[layer] ?? 0) + selfSize
  for (const child of children) addMemory(child, layer, shares)
}

/** The CPU time since the last call. The first call starts the profiler. */
export function takeTime(): Shares {
  const shares: Record<string, number> = {}
  if (time === undefined) {
    time = new Session()
    time.connect()
    time.post('Profiler.enable')
    time.post('Profiler.setSamplingInterval', { interval: MICROSECONDS })
  } else {
    time.post('Profiler.stop', (error, answer) => {
      if (error === null) addTime(answer.profile, shares)
    })
  }
  time.post('Profiler.start')
  return shares
}

function addTime(
  { nodes, samples = [], timeDeltas = [] }: Profiler.Profile,
  shares: Record<string, number>,
): void {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const layers = new Map<number, string>()
  const walk = (node: Profiler.ProfileNode, around: string): void => {
    const { functionName, url } = node.callFrame
    const layer = functionName === '(garbage collector)' ? COLLECTION : layerOf(url, around)
    if (functionName !== '(idle)') layers.set(node.id, layer)
    for (const id of node.children ?? []) walk(byId.get(id) as Profiler.ProfileNode, layer)
  }
  const [root] = nodes
  if (root !== undefined) walk(root, AROUND)
  for (const [index, id] of samples.entries()) {
    const layer = layers.get(id)
    if (layer !== undefined) shares[layer] = (shares[layer] ?? 0) + (timeDeltas[index] ?? 0)
  }
}
