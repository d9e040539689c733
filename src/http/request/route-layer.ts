/** Stands for the part of a path whose pattern is not known. */
export const MARK = '/*'

// What Express 4 and 5 keep of an application, a router, a layer of its stack and a route.

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

/** What a layer takes of a path, and the pattern that it takes it by. */
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
        return false // what cannot be decoded matches no parameter
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
 * Before 5.3 Express keeps no pattern of a mount. One that was given as a string and has matched without a parameter has
 * matched its own text, in whatever case; its parameters have no prototype, and those of a regular expression have one.
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

/** A global or sticky expression goes on where it stopped, so the router must find it as it left it. */
function unmoved<T>(expression: RegExp, look: () => T): T {
  const { lastIndex } = expression
  const found = look()
  expression.lastIndex = lastIndex
  return found
}

/**
 * Express 4 keeps of a mount only the expression that it has made of each path. These are read back; the source of the
 * expression stands for what was written in another way.
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
        names.shift() // it has a number
        pattern += '*'
      }
    }
    patterns.push(pattern)
  }
  return patterns
}

const MOUNT_END = '/?(?=/|$)'
/** What `path-to-regexp` 0.1 writes for `/:name`, `/:name?`, `:name`, `*`, `.`, and a character that stands for itself. */
const TOKEN = /^(?:\(\?:(\/?)\(\[\^\/\]\+\?\)\)(\??)|(\(\.\*\))|\\(\.)|([\w/~!@%&='",;:<>`#-]))/

/** A pattern as it was written: a string, the source of an expression, or one of several. */
export function textOf(path: unknown): string {
  if (path instanceof RegExp) return path.source
  if (Array.isArray(path)) return path.length === 1 ? textOf(path[0]) : `(${path.map(textOf).join('|')})`
  return typeof path === 'string' ? path : MARK
}
