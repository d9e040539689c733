import { createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { afterEach, describe, expect, it } from '@jest/globals'
import {
  bodyParsers,
  ConfigError,
  createPolicySource,
  memoryNonces,
  memoryStore,
  serverOnly,
  type Decision,
} from 'portcullis'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'

const SECTIONS = { serverOnly: { mode: 'enforce' } } as const

interface Mistaken {
  /** Converts the correct base to the signed one. */
  signs?: (base: string) => string
  /** The key. */
  secret?: string | Buffer
  method?: string
  target?: string
  headers?: Record<string, string>
  covered?: readonly string[]
  body?: string
  digestOf?: string
  created?: number
  sends?: (input: string) => string
  appId?: string
  tellsBase?: boolean
  mac?: (base: string) => Buffer
}

interface Answer {
  status: number
  document: {
    code: string
    detail?: string
    signatureBase?: string
    components?: string[]
    mistake?: string
    signedValue?: string
  }
  headers: Record<string, string>
  trail: readonly Decision[]
}

/** Sends a request from a hand-written signer that makes one mistake. */
async function send(
  mistaken: Mistaken,
  explainMismatch?: boolean,
  store?: { keys: (typeof KEY)[] },
): Promise<Answer> {
  const {
    signs = (base) => base,
    method = 'GET',
    target = '/a/b?x=1&y=%20',
    headers = {},
    covered = [],
    body,
  } = mistaken
  const trail: Decision[] = []
  const { app, store: apps } = protectedApp(SECTIONS, (policies) => [
    (
      req: { portcullis?: { decisions: readonly Decision[] } },
      res: NodeJS.EventEmitter,
      next: () => void,
    ) => {
      res.on('close', () => trail.push(...(req.portcullis?.decisions ?? [])))
      next()
    },
    ...bodyParsers(),
    serverOnly({ policies, nonces: memoryNonces(), explainMismatch }),
  ])
  if (store !== undefined) await apps.write({ policy: { appId: APP, ...SECTIONS }, ...store }, 1)
  return listening(app, async (origin) => {
    const [path, query = ''] = target.split('?')
    const digest = createHash('sha256')
      .update(mistaken.digestOf ?? body ?? '')
      .digest('base64')
    const sent: Record<string, string> = {
      ...headers,
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-digest': `sha-256=:${digest}:` }),
    }
    const values: [string, string][] = [
      ['@method', method],
      ['@authority', new URL(origin).host],
      ['@path', path ?? ''],
      ['@query', `?${query}`],
      ...(body === undefined
        ? []
        : (['content-digest', 'content-type'] as const).map((name): [string, string] => [
            name,
            sent[name] ?? '',
          ])),
      ...covered.map((name): [string, string] => [name, sent[name] ?? '']),
    ]
    const created = mistaken.created ?? Math.floor(Date.now() / 1000)
    const nonce = Math.random().toString(36).padEnd(20, '0')
    const input = `(${values.map(([name]) => `"${name}"`).join(' ')});created=${created};keyid="key-1";nonce="${nonce}"`
    const base = [...values, ['@signature-params', input]]
      .map(([name, value]) => `"${name}": ${value}`)
      .join('\n')
    const signed = signs(base)
    const secret = mistaken.secret ?? Buffer.from(KEY.secret, 'base64')
    const mac = mistaken.mac?.(signed) ?? createHmac('sha256', secret).update(signed).digest()
    const response = await fetch(origin + target, {
      method,
      ...(body !== undefined && { body }),
      headers: {
        'x-app-id': mistaken.appId ?? APP,
        ...sent,
        'signature-input': `sig1=${mistaken.sends?.(input) ?? input}`,
        signature: `sig1=:${mac.toString('base64')}:`,
        ...(mistaken.tellsBase === true && {
          'x-signature-base': `:${Buffer.from(signed).toString('base64')}:`,
        }),
      },
    })
    return {
      status: response.status,
      document: (await response.json()) as Answer['document'],
      headers: Object.fromEntries(response.headers),
      trail,
    }
  })
}

/** Signs another value of one component. */
const signing = (name: string, make: (value: string) => string) => (base: string) =>
  base.replace(
    new RegExp(`^("${name}": )(.*)$`, 'm'),
    (_line, start: string, value: string) => start + make(value),
  )

const json = '{"a": 1}'

const mistakes: [mistake: string, component: string | undefined, mistaken: Mistaken][] = [
  ['`@method` was signed in lower case', '@method', { signs: signing('@method', (value) => value.toLowerCase()) }],
  ['`@authority` was signed as in `X-Forwarded-Host`', '@authority', { headers: { 'x-forwarded-host': 'gateway.example' }, signs: signing('@authority', () => 'gateway.example') }],
  ['`@authority` was signed without its port', '@authority', { signs: signing('@authority', (value) => value.replace(/:.*/, '')) }],
  ['`@authority` was signed with the scheme', '@authority', { signs: signing('@authority', (value) => `http://${value}`) }],
  ['`@path` was signed with the query', '@path', { signs: signing('@path', (value) => `${value}?x=1&y=%20`) }],
  ['`@path` was signed with a trailing slash', '@path', { signs: signing('@path', (value) => `${value}/`) }],
  ['`@path` was signed without its trailing slash', '@path', { target: '/a/', signs: signing('@path', () => '/a') }],
  ['`@path` was signed percent-decoded', '@path', { target: '/caf%C3%A9', signs: signing('@path', () => '/caf\u00e9') }],
  ['`@query` was signed without the question mark', '@query', { signs: signing('@query', (value) => value.slice(1)) }],
  ['`@query` was signed as an empty string', '@query', { target: '/a', signs: signing('@query', () => '') }],
  ['`@query` was signed with `+` for spaces', '@query', { signs: signing('@query', (value) => value.replace('%20', '+')) }],
  ['`@query` was signed with the parameters sorted', '@query', { target: '/?b=1&a=2', signs: signing('@query', () => '?a=2&b=1') }],
  ['`content-digest` was signed without the name of the algorithm', 'content-digest', { method: 'POST', body: json, signs: signing('content-digest', (value) => value.slice(8)) }],
  ['`content-digest` was signed as hexadecimal', 'content-digest', { method: 'POST', body: json, signs: signing('content-digest', () => `sha-256=${createHash('sha256').update(json).digest('hex')}`) }],
  ['`content-type` was signed with `; charset=utf-8`', 'content-type', { method: 'POST', body: json, signs: signing('content-type', (value) => `${value}; charset=utf-8`) }],
  ['`x-a` was signed with commas and no spaces', 'x-a', { headers: { 'x-a': 'a, b' }, covered: ['x-a'], signs: signing('x-a', () => 'a,b') }],
  ['`@signature-params` was signed without the parameters', '@signature-params', { signs: signing('@signature-params', (value) => value.replace(/;.*/, '')) }],
  ['`@signature-params` was signed with the label', '@signature-params', { signs: signing('@signature-params', (value) => `sig1=${value}`) }],
  ['the base was signed with a trailing line feed', undefined, { signs: (base) => `${base}\n` }],
  ['the base was signed with CR LF between its lines', undefined, { signs: (base) => base.replaceAll('\n', '\r\n') }],
  ['the base64 text of the secret was used as the secret, without decoding it', undefined, { secret: KEY.secret }],
  ['the digest is of the JSON without white space', 'content-digest', { method: 'POST', body: json, digestOf: '{"a":1}' }],
  ['the digest is of no content', 'content-digest', { method: 'POST', body: json, digestOf: '' }],
] // prettier-ignore

/** The limit in `http/mismatch.ts`. */
const MOST_A_SECOND = 20

describe('explainMismatch', () => {
  for (const [mistake, component, mistaken] of mistakes) {
    it(`tells the caller: ${mistake}`, async () => {
      const { document, trail } = await send(mistaken, true)
      expect(document).toMatchObject({ mistake, components: component === undefined ? [] : [component] })
      expect(document.signatureBase).toMatch(/^"@method": /)
      expect(trail[0]?.evidence['mistake']).toBe(mistake)
    })

    it(`tells only operators without it: ${mistake}`, async () => {
      const { document, trail } = await send(mistaken)
      expect(Object.keys(document).sort()).toEqual(['code', 'instance', 'status', 'title', 'type'])
      expect(trail[0]?.evidence).toEqual({
        mistake,
        ...(component !== undefined && { components: component }),
      })
    })
  }

  it('shows the signed order of parameters', async () => {
    // Sends the parameters in another order than signed.
    const sends = (input: string) => input.replace(/(;keyid="[^"]*")(;nonce="[^"]*")/, '$2$1')
    const { document } = await send({ sends }, true)
    expect(document).toMatchObject({
      components: ['@signature-params'],
      mistake: '`@signature-params` was signed with the parameters in another order',
    })
  })

  it('shows which value was signed, and which was received', async () => {
    const { document } = await send({ signs: signing('@path', () => '/a/b/') }, true)
    expect(document.signedValue).toBe('/a/b/')
    expect(document.signatureBase).toContain('\n"@path": /a/b\n')
  })

  it('shows the differences from the base that the caller sends', async () => {
    const signs = (base: string) => signing('@path', () => '/elsewhere')(signing('@query', () => '?z')(base))
    const { document } = await send({ signs, tellsBase: true }, true)
    expect(document.components).toEqual(['@path', '@query'])
    const reordered = await send(
      { signs: (base) => base.split('\n').toSorted().join('\n'), tellsBase: true },
      true,
    )
    expect(reordered.document.components).toEqual(['@signature-params'])
    const odd = await send({ signs: () => 'garbage', tellsBase: true }, true)
    expect(odd.document.components).toContain('@method')
  })

  it('shows the base if it finds nothing else', async () => {
    const { document, trail } = await send({ secret: 'another' }, true)
    expect(document.detail).toBe('the signature by key `key-1` does not match the received request')
    expect(document).toMatchObject({ components: [] })
    expect(document.signatureBase?.split('\n')).toHaveLength(5)
    expect(trail[0]?.evidence).toEqual({})
  })

  it.each([
    [
      { created: Date.now() },
      'SIGNATURE_INVALID',
      'parameter `created` must be whole seconds since the epoch',
    ],
    [{ created: 1 }, 'SIGNATURE_EXPIRED', /^created \d+ s ago, more than the allowed 300 s$/],
    [{ sends: (input: string) => input.replace('"@path" ', '') }, 'SIGNATURE_INVALID', 'not covered: @path'],
  ])('gives the reason if no base was built or the signature is valid', async (mistaken, code, detail) => {
    const { document } = await send(mistaken, true)
    expect(document).toMatchObject({
      code,
      detail: typeof detail === 'string' ? detail : expect.stringMatching(detail),
    })
  })

  it('finds mistakes with Ed25519, but does not search for them outside development', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const secret = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64')
    const keys = [{ id: 'key-1', algorithm: 'ed25519' as const, secret }]
    const mistaken = {
      signs: signing('@method', () => 'get'),
      mac: (base: string) => sign(null, Buffer.from(base), privateKey),
    }
    expect((await send(mistaken, true, { keys })).document.components).toEqual(['@method'])
    expect((await send(mistaken, false, { keys })).trail[0]?.evidence).toEqual({})
  })

  it('reveals nothing about the secret', async () => {
    const text = JSON.stringify(await send({ secret: KEY.secret }, true))
    expect(text).not.toContain(KEY.secret)
  })

  it('gives an app that does not exist the same explanation as any other', async () => {
    const { document } = await send({ appId: 'nobody' }, true)
    expect(document).toMatchObject({ code: 'SIGNATURE_INVALID', components: [] })
  })

  it('has no effect when off, byte for byte', async () => {
    const bytes = ({ document, headers, status }: Answer) => [
      status,
      Object.keys(document),
      Object.keys(headers),
    ]
    const mistaken = { signs: signing('@method', () => 'get') }
    const [off, absent] = [await send(mistaken, false), await send(mistaken)]
    expect(bytes(off)).toEqual(bytes(absent))
    expect(off.headers['content-length']).toBe(absent.headers['content-length'])
    const { instance } = off.document as { instance?: string }
    expect(off.document).toEqual({
      type: 'urn:problem-type:portcullis:signature-invalid',
      title: 'The message signature is not valid',
      status: 401,
      code: 'SIGNATURE_INVALID',
      instance,
    })
  })

  it('examines only a few signatures per second outside development, so that a flood cannot cause work', async () => {
    const trail: Decision[] = []
    const { app } = protectedApp(SECTIONS, (policies) => [
      serverOnly({ policies, nonces: memoryNonces(), onDeny: (decision, _req, res) => { trail.push(decision); res.end() } }),
    ]) // prettier-ignore
    let seconds = 0
    await listening(app, async (origin) => {
      const input = `sig1=("@method" "@authority" "@path" "@query");created=${Math.floor(Date.now() / 1000)};keyid="key-1";nonce="0123456789abcdef"`
      const base = `"@method": get\n"@authority": ${new URL(origin).host}\n"@path": /\n"@query": ?\n"@signature-params": ${input.slice(5)}`
      const mac = createHmac('sha256', Buffer.from(KEY.secret, 'base64')).update(base).digest('base64')
      const headers = { 'x-app-id': APP, 'signature-input': input, signature: `sig1=:${mac}:` }
      const begun = Math.floor(performance.now() / 1000)
      do {
        await Promise.all(Array.from({ length: 200 }, () => fetch(origin, { headers })))
        seconds = Math.floor(performance.now() / 1000) - begun + 1
        // On a machine too slow to reach the limit, sends more requests.
      } while (trail.length < 3 * MOST_A_SECOND * seconds && trail.length < 4_000)
    })
    const examined = trail.filter(({ evidence }) => evidence['components'] === '@method')
    expect(trail.length).toBeGreaterThanOrEqual(3 * MOST_A_SECOND * seconds)
    expect(examined.length).toBeGreaterThanOrEqual(MOST_A_SECOND)
    expect(examined.length).toBeLessThanOrEqual(MOST_A_SECOND * seconds)
  })

  describe('in production', () => {
    const before = process.env['NODE_ENV']
    afterEach(() => {
      process.env['NODE_ENV'] = before
    })

    it('is refused at construction', () => {
      const policies = createPolicySource({ store: memoryStore() })
      const build = (explainMismatch: unknown) => () =>
        serverOnly({ policies, nonces: memoryNonces(), explainMismatch: explainMismatch as boolean })
      process.env['NODE_ENV'] = 'production'
      expect(build(true)).toThrow(ConfigError)
      expect(build(true)).toThrow(
        /`serverOnly.explainMismatch` must be a boolean, and not true if NODE_ENV is `production`/,
      )
      expect(build(false)).not.toThrow()
      process.env['NODE_ENV'] = 'development'
      expect(build(true)).not.toThrow()
      expect(build('yes')).toThrow(ConfigError)
    })
  })
})
