import { createRequire } from 'node:module'
import { join } from 'node:path'
import { signedFetch, signRequest, superagentSigner, type CallerOptions } from 'portcullis/client'

/**
 * Signs and sends requests with real client libraries, in its own process, because most of them are ES modules, which
 * the test runner cannot load. Its arguments are the URL and the options of the signer in JSON. It prints one line of
 * JSON per request.
 */

const load = createRequire(join(process.cwd(), 'test', 'frameworks', 'package.json'))
const { got } = load('got') as { got: Got }
const { default: ky } = load('ky') as { default: Ky }
const { default: nodeFetch } = load('node-fetch') as { default: typeof fetch }
const superagent = load('superagent') as Superagent

interface GotOptions {
  readonly method: string
  readonly url: URL
  readonly headers: Record<string, string>
  readonly body?: string
}
interface Got {
  extend(options: object): Got
  get(url: string): Promise<{ body: string }>
  post(url: string, options: object): Promise<{ body: string }>
}
interface Ky {
  (url: string, options: object): { text(): Promise<string> }
  create(options: object): Ky
}
interface Superagent {
  post(url: string): SuperagentRequest
  delete(url: string): SuperagentRequest
}
interface SuperagentRequest extends PromiseLike<{ text: string }> {
  use(plugin: unknown): SuperagentRequest
  send(body: object): SuperagentRequest
  type(type: string): SuperagentRequest
  retry(count: number): SuperagentRequest
}

const [, , url = '', given = ''] = process.argv
const key = JSON.parse(given) as CallerOptions & { readonly appId: string }
const { appId, ...signing } = key

/** The example in docs/signing.md: in this hook, got has the final method, URL, headers and body. */
const signedGot = got.extend({
  headers: { 'x-app-id': appId },
  hooks: {
    beforeRequest: [
      async (options: GotOptions) => {
        const { method, headers, body } = options
        Object.assign(headers, await signRequest({ method, url: options.url.href, headers, body }, signing))
      },
    ],
  },
})
const signedKy = ky.create({ fetch: signedFetch(key) })
const signedNodeFetch = signedFetch({ ...key, fetch: nodeFetch })
const asUser = superagentSigner(key)

const json = { text: 'ü' }
const form = { text: 'ü & b' }
const textOf = async (response: Promise<Response>): Promise<string> => (await response).text()

const calls: readonly (readonly [client: string, call: () => Promise<string>])[] = [
  ['got GET', async () => (await signedGot.get(url)).body],
  ['got POST json', async () => (await signedGot.post(url, { json })).body],
  ['got POST form', async () => (await signedGot.post(url, { form })).body],
  ['ky GET', async () => signedKy(url, {}).text()],
  ['ky POST json', async () => signedKy(url, { method: 'POST', json }).text()],
  ['ky POST form', async () => signedKy(url, { method: 'POST', body: new URLSearchParams(form) }).text()],
  ['node-fetch GET', async () => textOf(signedNodeFetch(url))],
  [
    'node-fetch POST json',
    async () =>
      textOf(
        signedNodeFetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(json),
        }),
      ),
  ],
  [
    'node-fetch POST form',
    async () => textOf(signedNodeFetch(url, { method: 'POST', body: new URLSearchParams(form) })),
  ],
  ['superagent DELETE', async () => (await superagent.delete(url).use(asUser).retry(1)).text],
  ['superagent POST json', async () => (await superagent.post(url).use(asUser).send(json)).text],
  ['superagent POST form', async () => (await superagent.post(url).use(asUser).type('form').send(form)).text],
]

for (const [client, call] of calls) {
  const answer = await call().catch((error: unknown) => JSON.stringify({ failed: String(error) }))
  console.log(JSON.stringify([client, JSON.parse(answer)]))
}
