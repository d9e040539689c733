import crypto from 'node:crypto'
import { Session } from 'node:inspector'

/**
 * Measures the work of a call, not its time: the execution counts of V8 for each block of the package's code and of the
 * parser of structured fields, and the characters or bytes that built-in functions process.
 */
export interface WorkMeter {
  /** The work of one call, which is the same on every machine. */
  measure(call: () => unknown): number
  close(): void
}

/** The work of a call from `prepare` for the larger size, relative to the smaller one. */
export function growth(
  prepare: (size: number) => () => unknown,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const meter = createWorkMeter()
  try {
    const [small, large] = [prepare(from), prepare(to)]
    // Work that is done only in the first call is not measured.
    small()
    const once = meter.measure(small)
    return meter.measure(large) / once
  } finally {
    meter.close()
  }
}

export function createWorkMeter(): WorkMeter {
  const session = new Session()
  session.connect()
  const post = (method: string, parameters: object = {}): unknown => {
    let answer: unknown
    session.post(method, parameters, (error, result) => {
      if (error !== null) throw new Error(`${method}: ${error.message}`)
      answer = result
    })
    return answer
  }
  post('Profiler.enable')
  post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  const natives = meterNatives()

  function takeBlocks(): number {
    const { result } = post('Profiler.takePreciseCoverage') as Coverage
    let blocks = 0
    for (const { url, functions } of result) {
      if (!/\/src\/|\/structured-headers\//.test(url)) continue
      for (const { ranges } of functions) for (const { count } of ranges) blocks += count
    }
    return blocks
  }

  return {
    measure(call) {
      takeBlocks()
      natives.start()
      try {
        call()
      } finally {
        natives.stop()
      }
      return takeBlocks() + natives.characters()
    },
    close() {
      post('Profiler.stopPreciseCoverage')
      session.disconnect()
      natives.restore()
    },
  }
}

interface Coverage {
  readonly result: readonly {
    readonly url: string
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[]
  }[]
}

// oxlint-disable-next-line typescript/no-explicit-any -- built-in functions of any kind
type Native = (...given: any[]) => any

interface NativeMeter {
  start(): void
  stop(): void
  characters(): number
  restore(): void
}

const lengthOf = (value: unknown): number =>
  typeof value === 'string' || value instanceof Uint8Array || Array.isArray(value) ? value.length : 0

/** The amount that a built-in function processes: its own text, its arguments and its result. */
type Charge = (self: unknown, given: readonly unknown[], answer: unknown, lastIndex: number) => number

const itself: Charge = (self) => lengthOf(self)
const argument: Charge = (_self, [text]) => lengthOf(text)
const answered: Charge = (_self, _given, answer) => lengthOf(answer)
const upToFound: Charge = (self, [, from], answer) =>
  answer === -1 ? lengthOf(self) : (answer as number) - (typeof from === 'number' ? from : 0) + 1

function meterNatives(): NativeMeter {
  let counting = false
  let characters = 0
  const undo: (() => void)[] = []

  function meter(owner: object, name: string, charge: Charge): void {
    const holder = owner as Record<string, Native>
    const original = holder[name] as Native
    const metered = function (this: unknown, ...given: unknown[]): unknown {
      const at = this instanceof RegExp ? this.lastIndex : 0
      const answer: unknown = original.apply(this, given)
      if (counting) characters += charge(this, given, answer, at)
      return answer
    }
    holder[name] = Object.assign(metered, original)
    undo.push(() => {
      holder[name] = original
    })
  }

  for (const name of ['split', 'toLowerCase', 'toUpperCase', 'trim', 'normalize', 'includes', 'replaceAll'])
    meter(String.prototype, name, itself)
  meter(String.prototype, 'indexOf', upToFound)
  meter(Array.prototype, 'join', answered)
  meter(Array.prototype, 'includes', itself)
  meter(Array.prototype, 'find', itself)
  meter(globalThis, 'encodeURIComponent', argument)
  meter(globalThis, 'decodeURIComponent', argument)
  meter(JSON, 'parse', argument)
  meter(Buffer, 'from', argument)
  meter(Buffer.prototype, 'toString', answered)
  meter(Buffer.prototype, 'write', argument)
  meter(crypto, 'hash', (_self, [, text]) => lengthOf(text))
  meter(crypto.Hmac.prototype, 'update', argument)
  meter(TextDecoder.prototype, 'decode', argument)
  // `test`, `replace`, `match` and `split` with a regular expression all call `exec`.
  meter(RegExp.prototype, 'exec', (self, [text], answer, at) => {
    const { global, sticky } = self as RegExp
    const from = global || sticky ? at : 0
    const found = answer as RegExpExecArray | null
    if (found === null) return sticky ? 1 : lengthOf(text) - from
    return found.index + found[0].length - from
  })
  const Plain = globalThis.URLSearchParams
  globalThis.URLSearchParams = class extends Plain {
    constructor(text?: string) {
      super(text)
      if (counting) characters += text?.length ?? 0
    }
  }
  undo.push(() => {
    globalThis.URLSearchParams = Plain
  })

  return {
    start() {
      characters = 0
      counting = true
    },
    stop() {
      counting = false
    },
    characters: () => characters,
    restore() {
      for (const one of undo.toReversed()) one()
    },
  }
}
