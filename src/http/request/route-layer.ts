/** Placeholder for a part of a path whose pattern is unknown. */
export const MARK = '/*'

// The parts of applications, routers, layers and routes that Express 4 and 5 keep.

export interface Application extends Router {
  readonly parent?: Application
  /** Express 4. */
  readonly _router?: Router
  /** Express 4, where `router` throws. */
  readonly lazyrouter?: unknown
  /** Express 5. */
  readonly router?: Router
}

interface Router {
  readonly stack?: readonly Layer[]
}

export interface Route {
  readonly path?: unknown
}

export interface Layer {
  readonly route?: Route
  readonly handle: Application & { readonly name?: string }
  /** Express 5: whether it is mounted at `/`. */
  readonly slash?: boolean
  /** Express 5: one for each path. */
  readonly matchers?: readonly ((
    path: string,
  ) => { readonly path: string; readonly params: object } | false)[]
  /** Express 5.3 and later. */
  readonly rawPath?: unknown
  /** Express 4: one for all paths. */
  readonly regexp?: RegExp & { readonly fast_slash?: boolean; readonly fast_star?: boolean }
  readonly keys?: readonly { readonly name: string | number }[]
}

/** The part of a path that a layer matches, and the pattern that matched it. */
interface Match {
  readonly path: string
  readonly text: string
}

type Matcher = (path: string) => Match | undefined

const matchersOfLayers = new WeakMap<Layer, readonly Matcher[]>()

export function matchOf(layer: Layer, path: string): Match | undefined {
  if (layer.slash === true || layer.regexp?.fast_slash === true) return { path: '', text: '' }
  let matchers = matchersOfLayers.get(layer)
  if (matchers === undefined) {
    matchers = layer.matchers === undefined ? matchersOfExpress4(layer) : matchersOfExpress5(layer)
    matchersOfLayers.set(layer, matchers)
  }
  for (const matcher of matchers) {
    const match = matcher(path)
    if (match !== undefined) return match
  }
  return undefined
}

function matchersOfExpress5({ matchers = [], rawPath, route }: Layer): Matcher[] {
  const paths = [rawPath ?? route?.path].flat()
  return matchers.map((matcher, index) => {
    const path: unknown = paths[index]
    const match = (text: string): ReturnType<typeof matcher> => {
      try {
        return matcher(text)
      } catch {
        return false // text that cannot be decoded matches no parameter
      }
    }
    return (text) => {
      const found = path instanceof RegExp ? unmoved(path, () => match(text)) : match(text)
      if (found === false) return undefined
      return { path: found.path, text: path === undefined ? staticTextOf(found) : textOf(path) }
    }
  })
}

/**
 * Express before 5.3 does not keep the pattern of a mount. A string pattern that has matched without parameters has matched its
 * own text, in any case. Its `params` have no prototype, unlike those of a regular expression.
 */
function staticTextOf({ path, params }: { readonly path: string; readonly params: object }): string {
  const isStatic = Object.getPrototypeOf(params) === null && Object.keys(params).length === 0
  return isStatic ? path.toLowerCase() : MARK
}

function matchersOfExpress4({ regexp, keys = [], route }: Layer): Matcher[] {
  if (regexp === undefined) return []
  if (regexp.fast_star === true) return [(path) => ({ path, text: '*' })]
  const parts = regexp.source.split(/\|(?=\^)/)
  const patterns = route === undefined ? patternsOf(parts, keys) : [route.path].flat(Infinity).map(textOf)
  if (patterns?.length !== parts.length) {
    const text = route === undefined ? regexp.source : textOf(route.path)
    return [(path) => execute(regexp, path, text)]
  }
  return parts.map((part, index) => {
    const expression = parts.length === 1 ? regexp : new RegExp(part, regexp.flags)
    return (path) => execute(expression, path, patterns[index] as string)
  })
}

function execute(expression: RegExp, path: string, text: string): Match | undefined {
  const match = unmoved(expression, () => expression.exec(path))
  return match === null ? undefined : { path: match[0], text }
}

/** A global or sticky expression continues where it stopped, so the router must find its `lastIndex` unchanged. */
function unmoved<T>(expression: RegExp, look: () => T): T {
  const { lastIndex } = expression
  const found = look()
  expression.lastIndex = lastIndex
  return found
}

/**
 * Express 4 keeps only the regular expression that it has made of each mount path. Reconstructs the patterns; `undefined` if an
 * expression was written in another way.
 */
function patternsOf(
  parts: readonly string[],
  keys: readonly { readonly name: string | number }[],
): string[] | undefined {
  const names = keys.map(({ name }) => name)
  const patterns: string[] = []
  for (const part of parts) {
    let pattern = ''
    let rest = part.replaceAll('\\/', '/')
    if (!rest.startsWith('^') || !rest.endsWith(MOUNT_END)) return undefined
    rest = rest.slice(1, -MOUNT_END.length)
    while (rest !== '') {
      const token = TOKEN.exec(rest)
      if (token === null) return undefined
      const [all, slash, optional, star, dot, character] = token
      rest = rest.slice(all.length)
      if (slash !== undefined) pattern += `${slash}:${names.shift()}${optional}`
      else if (star === undefined) pattern += dot ?? character
      else {
        names.shift() // its name is a number
        pattern += '*'
      }
    }
    patterns.push(pattern)
  }
  return patterns
}

const MOUNT_END = '/?(?=/|$)'
/** The output of `path-to-regexp` 0.1 for `/:name`, `/:name?`, `:name`, `*`, `.`, and a literal character. */
const TOKEN = /^(?:\(\?:(\/?)\(\[\^\/\]\+\?\)\)(\??)|(\(\.\*\))|\\(\.)|([\w/~!@%&='",;:<>`#-]))/

/** A pattern as it was written: a string, the source of a regular expression, or alternatives. */
export function textOf(path: unknown): string {
  if (path instanceof RegExp) return path.source
  if (Array.isArray(path)) return path.length === 1 ? textOf(path[0]) : `(${path.map(textOf).join('|')})`
  return typeof path === 'string' ? path : MARK
}
