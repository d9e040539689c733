import { METHODS } from 'node:http'
import type { GuardRequest } from '../handler.ts'
import { MARK, matchOf, textOf, type Application, type Layer, type Route } from './route-layer.ts'

/**
 * Names an operation by method and route pattern: `GET /people/:email/orders`. The name consists of the patterns that the router
 * was given, and of nothing that the caller has sent, so it cannot contain the value of a parameter:
 *
 * - The mount path is looked up in the stacks of the routers, from the outermost application inwards. `*` replaces a mount that
 *   cannot be found there, such as one inside a function that calls a router itself.
 * - A regular expression is named by its source. If a route has an array of paths, the one that matched is named.
 * - If no route was reached, the name has the pattern of the mount path, or only the method if there is no mount path.
 * - A method that is not registered for HTTP becomes `UNKNOWN`.
 *
 * @param outer the application that handled the request before routing, from `applicationOf`. Default: the one that handles it
 * now, which may not know the routers around it
 */
export function routeNameOf(req: GuardRequest, outer: Application | undefined = applicationOf(req)): string {
  const method = methodOf(req)
  let path: string
  try {
    path = patternOf(req, outer)
  } catch {
    // Only a foreign object in place of a router can throw here.
    path = MARK
  }
  if (path === '') return method
  if (method !== latest.method || path !== latest.path) latest = { method, path, name: `${method} ${path}` }
  return latest.name
}

/** Consecutive requests often have the same route, so the latest name is reused. */
let latest = { method: '', path: '', name: '' }

/** The Express application that currently handles the request. */
export function applicationOf(req: RoutedRequest): Application | undefined {
  return req.app
}

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS)

function methodOf({ method = '' }: GuardRequest): string {
  if (KNOWN_METHODS.has(method)) return method
  const name = method.toUpperCase()
  return KNOWN_METHODS.has(name) ? name : 'UNKNOWN'
}

interface RoutedRequest extends GuardRequest {
  readonly app?: Application
  readonly route?: Route
}

function patternOf(req: RoutedRequest, outer: Application | undefined): string {
  const { route, baseUrl = '' } = req
  if (route === undefined && baseUrl === '') return ''
  const { app } = req
  if (route !== undefined && baseUrl === '' && app === outer && app?.parent === undefined) {
    let pattern = plainPatterns.get(route)
    if (pattern === undefined && isPlainRouteOf(app, route)) plainPatterns.set(route, (pattern = route.path))
    if (pattern !== undefined) return pattern
  }
  const inner = withParents(app)
  const roots = new Set([withParents(outer).at(-1), inner.at(-1)])
  const received = pathOf(req.originalUrl ?? req.url ?? '')
  // If middleware has rewritten the target, the routers saw a path other than the received one.
  const paths = new Set([received, pathOf(baseUrl + (req.url ?? ''))])
  for (const root of roots) {
    for (const path of paths) {
      const found = new Search(inner, route, baseUrl).walk(stackOf(root), path, '', root)
      if (found !== undefined) return found
    }
  }
  return joined(MARK, route === undefined ? '' : textOf(route.path))
}

/**
 * Patterns of routes that have one string path and are in the stack of an application itself: they are the same for every
 * request.
 */
const plainPatterns = new WeakMap<Route, string>()

function isPlainRouteOf(app: Application | undefined, route: Route): route is { readonly path: string } {
  return typeof route.path === 'string' && stackOf(app).some((layer) => layer.route === route)
}

/** The application and those that it is mounted on, the outermost last. */
function withParents(app: Application | undefined): Application[] {
  const apps: Application[] = []
  for (let at = app; at !== undefined && apps.length < 32; at = at.parent) apps.push(at)
  return apps
}

function stackOf(app: Application | undefined): readonly Layer[] {
  if (app === undefined) return []
  // oxlint-disable-next-line no-underscore-dangle -- a name of Express 4
  const router = app._router ?? (app.lazyrouter === undefined ? app.router : undefined)
  return router?.stack ?? []
}

/** The path as Express reads it: without the query, and without the origin of a target in absolute form. */
function pathOf(target: string): string {
  const end = target.search(/[?#]/)
  const path = end === -1 ? target : target.slice(0, end)
  const origin = path.startsWith('/') ? -1 : path.indexOf('://')
  return origin === -1 ? path : path.slice(Math.max(path.indexOf('/', origin + 3), 0))
}

/** The most layers that are searched for one name. A router that is mounted inside itself would have no end. */
const MAX_STEPS = 10_000

/** Follows a path through the stacks of routers to a route, or to the mount whose path is `baseUrl`. */
class Search {
  readonly #inner: readonly Application[]
  readonly #route: Route | undefined
  readonly #baseUrl: string
  #steps = 0

  constructor(inner: readonly Application[], route: Route | undefined, baseUrl: string) {
    this.#inner = inner
    this.#route = route
    this.#baseUrl = baseUrl
  }

  /** Returns the pattern of the rest of the path. The stack is that of `app`, or of a router inside it. */
  walk(
    stack: readonly Layer[],
    path: string,
    base: string,
    app: Application | undefined,
  ): string | undefined {
    for (const layer of stack) {
      this.#steps += 1
      if (this.#steps > MAX_STEPS) return undefined
      let found: string | undefined
      if (layer.route === undefined) found = this.#enter(layer, path, base, app)
      else if (layer.route === this.#route) found = matchOf(layer, path)?.text
      if (found !== undefined) return found
    }
    return undefined
  }

  #enter(layer: Layer, path: string, base: string, app: Application | undefined): string | undefined {
    const { handle } = layer
    // Express wraps an application that is mounted on another one in a function of this name.
    const mounted = handle.name === 'mounted_app' ? this.#inner.find(({ parent }) => parent === app) : handle
    const stack = mounted?.stack ?? stackOf(mounted)
    if (stack.length === 0 && this.#route !== undefined) return undefined
    const match = matchOf(layer, path)
    if (match === undefined || !path.startsWith(match.path)) return undefined
    const text = withoutSlash(match.text)
    const newBase = base + withoutSlash(match.path)
    if (this.#route === undefined && newBase === this.#baseUrl) return text
    const rest = path.slice(match.path.length)
    const found = this.walk(stack, rest.startsWith('/') ? rest : `/${rest}`, newBase, mounted)
    return found === undefined ? undefined : joined(text, found)
  }
}

function joined(mount: string, pattern: string): string {
  return mount !== '' && pattern === '/' ? mount : mount + pattern
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}
