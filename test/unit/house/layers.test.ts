import { describe, expect, it } from '@jest/globals'
import { areaOf, readSources, type SourceFile } from './sources.ts'

/** Each area may import its own files and those of the lines above it, but not other areas on the same line. */
const layers: readonly (readonly string[])[] = [
  [
    'errors',
    'options',
    'did-you-mean',
    'names',
    'thenable',
    'deadline',
    'random-id',
    'slices',
    'instant',
    'json-fault',
    'setup-warning',
    'several-processes',
  ],
  ['match', 'vault'],
  ['list', 'jurisdiction'],
  ['lint'],
  ['policy'],
  ['decision'],
  ['signature', 'audit'],
  ['guards'],
  ['store'],
  ['source', 'redis'],
  ['region'],
  ['http'],
  ['explain'],
  ['index', 'client', 'console', 'fastify', 'hono', 'metrics', 'otel'],
  ['testing', 'cli'],
]

/** The areas of the foundation may import each other. */
const foundation = layers[0] ?? []

/** The entries of the package, which users import and inner modules must not. */
const doors = ['index', 'client', 'console', 'fastify', 'hono', 'metrics', 'otel', 'testing', 'cli']

/** Optional parts, which only the areas listed here may import. */
const wings: ReadonlyMap<string, readonly string[]> = new Map([
  ['redis', ['region', 'console', 'cli', 'testing']],
  ['region', ['console', 'cli', 'testing']],
])

const sources = readSources()
const levelOf = (area: string): number => layers.findIndex((layer) => layer.includes(area))

function violations(check: (file: SourceFile) => readonly string[]): readonly string[] {
  return sources.flatMap((file) => check(file).map((what) => `src/${file.path} ${what}`))
}

describe('layers', () => {
  it('every file of src is in a known area', () => {
    const unknown = violations(({ area }) =>
      levelOf(area) === -1 ? [`is in no layer: give \`${area}\` a place in the table of layers.test.ts`] : [],
    )
    expect(unknown).toEqual([])
  })

  it('imports go one way', () => {
    const wrong = violations(({ area, imports }) =>
      imports.flatMap(({ file }) => {
        if (file === undefined) return []
        const target = areaOf(file)
        if (target === area || (foundation.includes(area) && foundation.includes(target))) return []
        if (levelOf(target) < levelOf(area)) return []
        return [
          `must not import src/${file}: pass it in as a value, or move what both need to a layer before them`,
        ]
      }),
    )
    expect(wrong).toEqual([])
  })

  it('no inner module imports an entry of the package', () => {
    const wrong = violations(({ area, imports }) =>
      imports.flatMap(({ file }) => {
        if (file === undefined || area === areaOf(file) || !doors.includes(areaOf(file))) return []
        // The test helpers for users import the entries that users import.
        if (area === 'testing' && areaOf(file) === 'index') return []
        // `portcullis console` serves the console.
        if (area === 'cli' && areaOf(file) === 'console') return []
        // `portcullis probe` calls the service like a client.
        if (area === 'cli' && areaOf(file) === 'client') return []
        return [`must not import the door src/${file}: import the file that makes it`]
      }),
    )
    expect(wrong).toEqual([])
  })

  it('no inner module imports an optional part', () => {
    const wrong = violations(({ area, imports }) =>
      imports.flatMap(({ file }) => {
        const wing = file === undefined ? '' : areaOf(file)
        const allowed = wings.get(wing)
        if (allowed === undefined || area === wing || allowed.includes(area)) return []
        return [`must not import src/${file}: the house stands without ${wing}`]
      }),
    )
    expect(wrong).toEqual([])
  })

  it('there are no import cycles, not even of types', () => {
    const byPath = new Map(sources.map((file) => [file.path, file]))
    const done = new Set<string>()
    const circles: string[] = []
    const walk = (path: string, way: readonly string[]): void => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' -> '))
      if (done.has(path) || way.includes(path)) return
      for (const { file } of byPath.get(path)?.imports ?? []) {
        if (file !== undefined) walk(file, [...way, path])
      }
      done.add(path)
    }
    for (const { path } of sources) walk(path, [])
    expect(circles).toEqual([])
  })
})

describe('the access of each layer', () => {
  it('matching, policies and guards use no clock, randomness, I/O or process', () => {
    const outside =
      /\b(Date\.now|new Date\(\)|performance\.|process\b|setTimeout|setInterval|setImmediate|Math\.random|randomUUID|randomBytes|getRandomValues|fetch\()/
    const wrong = violations(({ area, withoutTypes, imports }) => {
      if (!['match', 'list', 'jurisdiction', 'policy', 'lint', 'guards'].includes(area)) return []
      const pure = ['node:crypto', 'node:url']
      const modules = imports.filter(({ from }) => from.startsWith('node:') && !pure.includes(from))
      const name = outside.exec(withoutTypes)?.[0]
      return [
        ...modules.map(
          ({ from }) => `must not import ${from}: what it needs from there is a fact, passed in`,
        ),
        ...(name === undefined ? [] : [`must not use \`${name}\`: take it as a fact`]),
      ]
    })
    expect(wrong).toEqual([])
  })

  it('only src/http touches a request or a response', () => {
    const http =
      /\b(req|res|request|response)\.(headers|method|url|originalUrl|body|query|params|socket|ip|get|setHeader|status|end|json|send|locals)\b/
    const modules = ['express', 'http', 'https', 'node:http', 'node:https', 'node:http2']
    const wrong = violations(({ area, withoutTypes, imports }) => {
      // The client signs requests of the Fetch API, not those of the server. `testing` and `console` use it from
      // outside.
      if (['http', 'explain', 'client', 'console', 'fastify', 'hono', 'testing', 'cli'].includes(area))
        return []
      const mention = http.exec(withoutTypes)?.[0]
      return [
        ...imports
          .filter(({ from }) => modules.includes(from))
          .map(({ from }) => `must not import ${from}: read what is needed into the facts, in src/http`),
        ...(mention === undefined
          ? []
          : [`must not use \`${mention}\`: read it into the facts, in src/http`]),
      ]
    })
    expect(wrong).toEqual([])
  })

  describe('in src/http', () => {
    const PARTS =
      'headers|headersDistinct|rawHeaders|rawTrailers|method|url|originalUrl|baseUrl|body|rawBody|query|params|socket|connection|ip|ips|protocol|secure|hostname|httpVersionMajor|httpVersion'
    /** Access to a member of a request, by name or by destructuring. */
    const reads = new RegExp(
      `\\b(?:req|request)\\??(?:\\.(?:${PARTS})\\b|\\[)|\\{[^{}]*\\b(?:${PARTS})\\b[^{}]*\\}\\s*=\\s*(?:[\\w#.]+\\.)?(?:req|request)\\b(?!\\.)`,
    )
    const writes =
      /\b(?:res|response|answer)\??\.(?:setHeaders?|writeHead|statusCode\s*=|statusMessage\s*=|end\(|write\(|removeHeader|appendHeader|flushHeaders|addTrailers|status\(|json\(|send\(|redirect\()/

    /** Files that may access the connection of a response, which is not a part of the request. */
    const mayRead = new Map([
      ['http/response/gate.ts', 'socket'],
      ['http/response/connection.ts', 'socket'],
    ])
    /** Mounts define the effect of a guard on the response. */
    const mounts = [
      'http/audit-access.ts',
      'http/domain-protect.ts',
      'http/ip-whitelist.ts',
      'http/region-pin.ts',
      'http/return-url-guard.ts',
      'http/server-only.ts',
    ]
    const inHttp = sources.filter(({ area }) => area === 'http')
    const found = (pattern: RegExp, within: (path: string) => boolean): string[] =>
      inHttp.filter(({ path, code }) => within(path) && pattern.test(code)).map(({ path }) => path)

    it('only src/http/request reads a request', () => {
      const wrong = inHttp.flatMap(({ path, code }) => {
        if (path.startsWith('http/request/')) return []
        const allowed = mayRead.get(path)
        const rest = allowed === undefined ? code : code.replaceAll(`req.${allowed}`, '')
        const mention = reads.exec(rest)?.[0]
        return mention === undefined ? [] : [`src/${path} must not read \`${mention}\`: add it to the facts`]
      })
      expect(wrong).toEqual([])
    })

    it('only src/http/response and the mounts write a response', () => {
      const within = (path: string): boolean => !path.startsWith('http/response/') && !mounts.includes(path)
      expect(found(writes, within)).toEqual([])
    })

    it('the check finds readers of requests and writers of responses', () => {
      expect(found(reads, (path) => path.startsWith('http/request/')).length).toBeGreaterThan(5)
      expect(found(writes, (path) => path.startsWith('http/response/')).length).toBeGreaterThan(2)
      expect(found(writes, (path) => mounts.includes(path))).toEqual([
        'http/region-pin.ts',
        'http/server-only.ts',
      ])
      for (const code of [
        'req.headers',
        'context.req.url',
        'req["body"]',
        'const { ip, x } = this.req;',
        'request?.query',
      ])
        expect([code, reads.test(code)]).toEqual([code, true])
      for (const code of [
        'req.portcullis',
        'const { req } = context',
        'request.facts',
        '{ method } = request.facts',
      ])
        expect([code, reads.test(code)]).toEqual([code, false])
      for (const path of [...mayRead.keys(), ...mounts])
        expect([path, inHttp.some((file) => file.path === path)]).toEqual([path, true])
    })
  })

  it('the client runs wherever WebCrypto does: neither it nor its imports need Node or a package', () => {
    const reached = new Set(sources.filter(({ area }) => area === 'client'))
    for (const file of reached) {
      for (const { file: target, typeOnly } of file.imports) {
        const next = typeOnly ? undefined : sources.find(({ path }) => path === target)
        if (next !== undefined) reached.add(next)
      }
    }
    const wrong = [...reached].flatMap(({ path, imports }) =>
      imports
        .filter(({ file, typeOnly }) => file === undefined && !typeOnly)
        .map(
          ({ from }) =>
            `src/${path} must not import ${from}: the client uses it, and runs outside of Node too`,
        ),
    )
    expect(wrong).toEqual([])
  })
})

describe('files', () => {
  it('no file has a catch-all name', () => {
    const drawer = /(^|[/-])(utils?|helpers?|common|misc|shared|lib|managers?|data|types|constants)(\.ts|\/)/
    const wrong = violations(({ path }) =>
      drawer.test(path) ? ['has a name that says nothing: name it after what it does'] : [],
    )
    expect(wrong).toEqual([])
  })

  it('no file has more than 300 lines', () => {
    const wrong = violations(({ lines }) =>
      lines > 300 ? [`has ${lines} lines: it holds two things, part them`] : [],
    )
    expect(wrong).toEqual([])
  })

  it('no file uses features that the CommonJS build does not support', () => {
    const wrong = violations(({ withoutTypes }) =>
      /\bimport\.meta\b/.test(withoutTypes)
        ? ['must not use import.meta: embed the text, or take it as an option']
        : [],
    )
    expect(wrong).toEqual([])
  })
})
