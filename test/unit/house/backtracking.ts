/**
 * Whether the time of a regular expression can grow faster than the text. Converts the expression to an automaton whose
 * states are its characters, and searches for a text that can be read in two ways around a loop (exponential), or that
 * two consecutive loops can share (polynomial). This matters only if the rest can still fail, because an engine does
 * not backtrack after a match.
 */
export function backtrackingOf(pattern: string, flags: string): 'exponential' | 'polynomial' | undefined {
  const alternatives = new Parser(pattern, flags).parse()
  const verdicts = alternatives.map(({ node, anchored, mayFail, lookarounds }) => [
    verdictOf(node, anchored, mayFail),
    ...lookarounds.map((body) => verdictOf(body, anchored, true)),
  ])
  const all = verdicts.flat()
  return all.find((one) => one === 'exponential') ?? all.find((one) => one === 'polynomial')
}

type Node =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  | { readonly kind: 'loop'; readonly body: Node }

/** A set of the characters up to U+FFFF and one beyond, as bits. */
type CharacterSet = Uint32Array

const SIZE = 0x1_0020
const known = new Map<string, CharacterSet>()

function setOf(atom: string, flags: string): CharacterSet {
  const key = `${flags}/${atom}`
  const found = known.get(key)
  if (found !== undefined) return found
  const test = new RegExp(`^(?:${atom})$`, flags.replace(/[gy]/g, ''))
  const set = new Uint32Array(SIZE / 32)
  for (let code = 0; code <= 0x1_0000; code += 1)
    if (test.test(code === 0x1_0000 ? '\u{1f600}' : String.fromCharCode(code)))
      set[code >> 5]! |= 1 << (code & 31)
  known.set(key, set)
  return set
}

function intersection(...sets: readonly CharacterSet[]): boolean {
  const [first = new Uint32Array(), ...others] = sets
  return first.some((word, index) => others.reduce((rest, set) => rest & (set[index] ?? 0), word) !== 0)
}

interface Alternative {
  readonly node: Node
  /** Whether it begins with `^`. Otherwise it is tried at every position of the text. */
  readonly anchored: boolean
  /** Whether something can fail after its last character: `$`, `\b` or a look-around. */
  readonly mayFail: boolean
  readonly lookarounds: readonly Node[]
}

const EMPTY: Node = { kind: 'sequence', parts: [] }

class Parser {
  readonly #pattern: string
  readonly #flags: string
  #at = 0
  #mayFail = false
  #lookarounds: Node[] = []

  constructor(pattern: string, flags: string) {
    this.#pattern = pattern
    this.#flags = flags
  }

  parse(): Alternative[] {
    const alternatives: Alternative[] = []
    do {
      this.#mayFail = false
      this.#lookarounds = []
      // A sticky expression is tried at one position of the text.
      const anchored = this.#take('^') || this.#flags.includes('y')
      const node = this.#sequence()
      alternatives.push({ node, anchored, mayFail: this.#mayFail, lookarounds: this.#lookarounds })
    } while (this.#take('|'))
    if (this.#at < this.#pattern.length)
      throw new Error(`not understood from here: ${this.#pattern.slice(this.#at)}`)
    return alternatives
  }

  #take(text: string): boolean {
    if (!this.#pattern.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  #match(expression: RegExp): string | undefined {
    const found = new RegExp(expression.source, 'y')
    found.lastIndex = this.#at
    const text = found.exec(this.#pattern)?.[0]
    this.#at += text?.length ?? 0
    return text
  }

  #choice(): Node {
    const options: Node[] = []
    do options.push(this.#sequence())
    while (this.#take('|'))
    return { kind: 'choice', options }
  }

  #sequence(): Node {
    const parts: Node[] = []
    while (this.#at < this.#pattern.length && !/[|)]/.test(this.#pattern.charAt(this.#at))) {
      parts.push(this.#quantified(this.#atom()))
    }
    return { kind: 'sequence', parts }
  }

  #atom(): Node {
    if (this.#match(/[$^]|\\[bB]/) !== undefined) {
      this.#mayFail = true
      return EMPTY
    }
    if (this.#match(/\(\?<?[=!]/) !== undefined) {
      const body = this.#choice()
      this.#take(')')
      this.#mayFail = true
      this.#lookarounds.push(body)
      return EMPTY
    }
    if (this.#match(/\((?!\?)|\(\?(?::|<\w+>)/) !== undefined) {
      const body = this.#choice()
      this.#take(')')
      return body
    }
    if (/^\\[1-9k]/.test(this.#pattern.slice(this.#at))) throw new Error('a back-reference is not understood')
    const atom = this.#match(
      /\[(?:\\.|[^\]\\])*\]|\\[pP]\{[^}]+\}|\\u\{[^}]+\}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\c[A-Za-z]|\\.|[^()[\]{}*+?|\\]|[\]}]/,
    )
    if (atom === undefined) throw new Error(`not understood from here: ${this.#pattern.slice(this.#at)}`)
    return { kind: 'set', set: setOf(atom, this.#flags) }
  }

  #quantified(body: Node): Node {
    const text = this.#match(/(?:[*+?]|\{\d+(?:,\d*)?\})\??/)
    if (text === undefined) return body
    const [least, most] = boundsOf(text)
    const parts: Node[] = Array.from({ length: least }, () => body)
    if (most === Infinity) {
      if (nullable(body)) throw new Error('a loop over what may be empty is not understood')
      // `x+` is one loop over x, and not an x followed by a loop.
      if (least === 0) parts.push({ kind: 'choice', options: [{ kind: 'loop', body }, EMPTY] })
      else parts.splice(-1, 1, { kind: 'loop', body })
    }
    for (let optional: Node = EMPTY, left = most - least; most < Infinity && left > 0; left -= 1) {
      optional = { kind: 'choice', options: [{ kind: 'sequence', parts: [body, optional] }, EMPTY] }
      if (left === 1) parts.push(optional)
    }
    return { kind: 'sequence', parts }
  }
}

function boundsOf(quantifier: string): [number, number] {
  if (quantifier.startsWith('*')) return [0, Infinity]
  if (quantifier.startsWith('+')) return [1, Infinity]
  if (quantifier.startsWith('?')) return [0, 1]
  const [least = '', most] = quantifier.replace(/[{}?]/g, '').split(',')
  return [Number(least), most === undefined ? Number(least) : most === '' ? Infinity : Number(most)]
}

function nullable(node: Node): boolean {
  if (node.kind === 'sequence') return node.parts.every(nullable)
  if (node.kind === 'choice') return node.options.some(nullable)
  return node.kind === 'loop' && nullable(node.body)
}

/** Glushkov's automaton, whose states are the characters of the expression. */
interface Automaton {
  readonly sets: CharacterSet[]
  readonly next: Set<number>[]
  /** Transitions that exist more than once. */
  readonly doubled: [number, number][]
}

function build(automaton: Automaton, node: Node): { first: number[]; last: number[] } {
  const { sets, next, doubled } = automaton
  const connect = (from: readonly number[], to: readonly number[]): void => {
    for (const start of from) {
      for (const end of to) {
        if (next[start]?.has(end)) doubled.push([start, end])
        next[start]?.add(end)
      }
    }
  }
  if (node.kind === 'set') {
    sets.push(node.set)
    next.push(new Set())
    return { first: [sets.length - 1], last: [sets.length - 1] }
  }
  if (node.kind === 'choice') {
    const built = node.options.map((option) => build(automaton, option))
    return { first: built.flatMap(({ first }) => first), last: built.flatMap(({ last }) => last) }
  }
  if (node.kind === 'loop') {
    const body = build(automaton, node.body)
    connect(body.last, body.first)
    return body
  }
  let first: number[] = []
  let last: number[] = []
  let empty = true
  for (const part of node.parts) {
    const built = build(automaton, part)
    connect(last, built.first)
    if (empty) first = [...first, ...built.first]
    last = nullable(part) ? [...last, ...built.last] : built.last
    empty &&= nullable(part)
  }
  return { first, last }
}

function verdictOf(
  node: Node,
  anchored: boolean,
  mayFail: boolean,
): 'exponential' | 'polynomial' | undefined {
  const automaton: Automaton = { sets: [], next: [], doubled: [] }
  const anything: Node = { kind: 'loop', body: { kind: 'set', set: setOf('[^]', '') } }
  const start: Node = { kind: 'choice', options: [anything, EMPTY] }
  const { last } = build(automaton, anchored ? node : { kind: 'sequence', parts: [start, node] })
  const done = new Set(mayFail ? [] : last)
  const states = [...automaton.sets.keys()].filter((state) => !done.has(state))
  const next = automaton.next.map((all) => [...all].filter((state) => !done.has(state)))
  const fits = (tuple: readonly number[]): boolean =>
    intersection(...tuple.map((state) => automaton.sets[state] as CharacterSet))
  const reaches = (from: readonly number[], to: readonly number[]): boolean => {
    const seen = new Set<string>()
    const open = [from]
    for (let tuple = open.pop(); tuple !== undefined; tuple = open.pop()) {
      const ways = tuple.map((state) => next[state] ?? [])
      for (const way of product(ways)) {
        const key = way.join()
        if (seen.has(key) || !fits(way)) continue
        if (key === to.join()) return true
        seen.add(key)
        open.push(way)
      }
    }
    return false
  }
  const loops = states.filter((state) => reaches([state], [state]))
  const around = automaton.doubled.filter(([from, to]) => !done.has(from) && !done.has(to))
  if (around.some(([from, to]) => reaches([to], [from]))) return 'exponential'
  for (const one of loops) {
    for (const [left, right] of pairs(loops))
      if (reaches([one, one], [left, right]) && reaches([left, right], [one, one])) return 'exponential'
  }
  for (const [one, other] of pairs(loops))
    if (reaches([one, one, other], [one, other, other])) return 'polynomial'
  return undefined
}

function product(ways: readonly (readonly number[])[]): number[][] {
  return ways.reduce<number[][]>(
    (tuples, way) => tuples.flatMap((tuple) => way.map((state) => [...tuple, state])),
    [[]],
  )
}

/** All pairs of different states, in both orders. */
function pairs(states: readonly number[]): [number, number][] {
  return states.flatMap((one) =>
    states.filter((other) => other !== one).map((other): [number, number] => [one, other]),
  )
}
