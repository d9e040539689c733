import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createPolicySource,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  type AppKey,
  type ManagedPolicyStore,
  type PolicyInput,
} from 'portcullis'
import { signedFetch } from 'portcullis/client'
import { sharedHomes } from '../../example-server/homes.ts'
import { memoryPeople, type PeopleStore } from 'portcullis/vault'
import { createExampleApp } from '../../example-server/app.ts'
import type { DemoApp } from '../../example-server/demo-apps.ts'
import { memoryCounts } from '../../example-server/limits.ts'
import { createLog } from '../../example-server/log.ts'
import type { Mail } from '../../example-server/mail.ts'
import type { Field } from '../../example-server/people.ts'
import { deriveSecrets, vaultOf } from '../../example-server/secrets.ts'
import { memoryStorage } from '../../example-server/storage.ts'
import { createUkey1, type Ukey1 } from '../../example-server/ukey1.ts'

export const SHOP = 'https://shop.example'
export const CALLBACK = `${SHOP}/callback/done?cart=42`

/** The key of the server app `shop`. */
export const SHOP_KEY: AppKey = {
  id: 'shop-1',
  algorithm: 'hmac-sha256',
  secret: Buffer.alloc(32, 7).toString('base64'),
}

export const SHOP_POLICY = {
  appId: 'shop',
  name: 'Shop & <Sons>',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] },
  domainProtect: { mode: 'enforce', domains: [SHOP] },
  returnUrlGuard: { mode: 'enforce', urls: [`${SHOP}/callback/`] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
} satisfies PolicyInput

/** An example server in this process, with a memory store, on a free port of the loopback address. */
export interface ExampleServer {
  readonly url: string
  readonly store: ManagedPolicyStore
  readonly sink: ReturnType<typeof memoryAuditSink>
  /** The legacy scheme for `ukey1Apps`. */
  readonly ukey1: Ukey1 | undefined
  /** The sent emails, oldest first. */
  readonly mails: Mail[]
  /** The lines of the log. */
  readonly lines: string[]
  /** Makes reads of policies from the store fail, or succeed again. */
  failReads(fail: boolean): void
  /** Replaces these sections of an app's policy. */
  change(policy: { readonly appId: string }, sections?: object): Promise<void>
  /** Closes the server. Rejects if it has reported a fault of its own. */
  close(): Promise<void>
}

const personKeys = new WeakMap<object, PeopleStore>()

/** The keys of the people in a storage. Two servers that share the storage also share the keys. */
export function keysBeside(storage: object): PeopleStore {
  const keys = personKeys.get(storage) ?? memoryPeople()
  personKeys.set(storage, keys)
  return keys
}

/**
 * Starts an example server with the app `shop`. Servers with the same `storage` share people, connections and tokens.
 */
export async function startExampleServer({
  region = 'london',
  storage = memoryStorage(),
  ukey1Apps = [],
  trustProxy = [],
  onlyProxies = false,
  production = false,
  otherUrls = {},
  demoApps = [],
  consoleToken,
  metricsToken,
  appFields,
}: {
  appFields?: ReadonlyMap<string, readonly Field[]>
  metricsToken?: string
  region?: string
  trustProxy?: readonly string[]
  onlyProxies?: boolean
  production?: boolean
  otherUrls?: Readonly<Record<string, string>>
  demoApps?: readonly DemoApp[]
  consoleToken?: string
  storage?: ReturnType<typeof memoryStorage>
  ukey1Apps?: readonly string[]
} = {}): Promise<ExampleServer> {
  const store = memoryStore([{ policy: SHOP_POLICY, keys: [SHOP_KEY] }])
  let readsFail = false
  const policies = createPolicySource({
    store: {
      ...store,
      read: async (appId) => (readsFail ? Promise.reject(new Error('the store is away')) : store.read(appId)),
    },
  })
  const sink = memoryAuditSink()
  const secrets = deriveSecrets(new Uint8Array(32))
  const ukey1 =
    ukey1Apps.length === 0 ? undefined : createUkey1({ storage, vault: vaultOf(secrets), apps: ukey1Apps })
  const faults: unknown[] = []
  const mails: Mail[] = []
  const lines: string[] = []
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const app = await createExampleApp({
    settings: { production, trustProxy, onlyProxies, secrets, metricsToken, appFields },
    region,
    store,
    policies,
    storage,
    homes: sharedHomes(storage, keysBeside(storage)),
    nonces: memoryNonces(),
    sink,
    recentEvents: async ({ limit }) => ({
      events: sink.events().toReversed().slice(0, limit),
      isComplete: sink.events().length <= limit,
    }),
    ukey1,
    counts: memoryCounts(),
    mail: (mail) => void mails.push(mail),
    mailsArePrinted: true,
    log: createLog({ production, write: (line) => lines.push(line) }),
    demoApps,
    consoleToken,
    publicUrl: () => url,
    otherUrls: () => otherUrls,
    onFault: (fault) => faults.push(fault),
  })
  server.on('request', app)
  return {
    url,
    store,
    sink,
    ukey1,
    mails,
    lines,
    failReads(fail) {
      readsFail = fail
    },
    async change(policy, sections = {}) {
      const revision = (await store.read(policy.appId))?.revision ?? 0
      await store.write({ policy: { ...policy, ...sections } }, revision)
    },
    async close() {
      policies.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      if (faults.length > 0) throw new AggregateError(faults, 'the example server was at fault')
    },
  }
}

/**
 * The server of the app `shop`, which signs its requests. `sent` is the last request in its final form. With `hold`, it
 * signs a request without sending it.
 */
export function shopServer({
  hold = false,
  ...options
}: { origin?: string; secret?: string; now?: () => number; hold?: boolean } = {}): {
  send: (url: string, init?: RequestInit) => Promise<Response>
  sent: { url: string; init: RequestInit }
} {
  const sent = { url: '', init: {} as RequestInit }
  const send = signedFetch({
    keyId: SHOP_KEY.id,
    secret: SHOP_KEY.secret,
    appId: 'shop',
    origin: SHOP,
    ...options,
    fetch: async (input, init) => {
      sent.url = String(input)
      sent.init = init ?? {}
      if (hold) throw new Error('held back')
      return fetch(input, init)
    },
  })
  return { send, sent }
}

/** The options of `fetch` for a POST with JSON. */
export function json(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  }
}

export const CONNECT = {
  request_id: 'request-1',
  scope: ['firstname!', 'email', 'image'],
  return_url: CALLBACK,
}

export const ADA = {
  email: 'ada@example.org',
  password: 'correct horse battery',
  firstname: 'Ada',
  surname: 'Lovelace',
  country: 'FR',
  language: 'en',
  image: 'https://images.example/ada.png',
}

export interface Page {
  readonly status: number
  readonly headers: Headers
  readonly html: string
  /** The target of a redirect. */
  readonly location: string | undefined
}

/** The code in the newest email to an address. */
export function codeFor(mails: readonly Mail[], email: string): string {
  const mail = mails.findLast(({ to, text }) => to === email && text.startsWith('Code: '))
  return /^Code: (\d{8})$/m.exec(mail?.text ?? '')?.[1] ?? 'no code was sent'
}

/** Waits for the code in the newest email to an address, because a process prints it with a delay. */
export async function arrivedCode(
  server: { readonly mails: readonly Mail[] },
  email: string,
): Promise<string> {
  for (let tries = 0; tries < 200 && !/^\d/.test(codeFor(server.mails, email)); tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 10))
  return codeFor(server.mails, email)
}

/** A person with a minimal browser, which keeps cookies and sends the forms of the current page. */
export class Visitor {
  readonly #jar = new Map<string, string>()
  /** The client address in every request, as a proxy adds it. */
  address: string | undefined
  page: Page | undefined

  async open(url: string): Promise<Page> {
    return this.#ask(url, {})
  }

  /** Sends the form of the current page whose action ends in `/<action>`, with its hidden fields. */
  async submit(
    action: string,
    fields: Record<string, string> = {},
    headers: Record<string, string> = {},
  ): Promise<Page> {
    const { target, hidden } = this.form(action)
    return this.#ask(target, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams({ ...hidden, ...fields }).toString(),
    })
  }

  form(action: string): { target: string; hidden: Record<string, string> } {
    const pattern = new RegExp(`<form[^>]* action="([^"]*/${action})"[^>]*>(.*?)</form>`, 's')
    const [, target = '', content = ''] = pattern.exec(this.page?.html ?? '') ?? []
    if (target === '') throw new Error(`the page has no form "${action}":\n${this.page?.html}`)
    const inputs = content.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)
    return {
      target: new URL(target, this.#base).href,
      hidden: Object.fromEntries([...inputs].map(([, name, value]) => [name, value])),
    }
  }

  /** The cookie of the session. */
  get cookie(): string | undefined {
    return this.#jar.get('__Host-session')
  }
  set cookie(value: string | undefined) {
    if (value === undefined) this.#jar.delete('__Host-session')
    else this.#jar.set('__Host-session', value)
  }

  /** The cookie by which this browser is known to an account. */
  get device(): string | undefined {
    return this.#jar.get('__Host-device')
  }
  set device(value: string | undefined) {
    if (value === undefined) this.#jar.delete('__Host-device')
    else this.#jar.set('__Host-device', value)
  }

  /** The URL of the current page. */
  get url(): string {
    return this.#base
  }

  /** Follows a redirect. */
  async follow({ location }: Page): Promise<Page> {
    if (location === undefined)
      throw new Error(`this is no redirect: ${this.page?.status} ${this.page?.html}`)
    return this.open(new URL(location, this.#base).href)
  }

  #base = ''

  async #ask(url: string, init: RequestInit): Promise<Page> {
    this.#base = url
    const cookie = [...this.#jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, {
      ...init,
      headers: {
        ...init.headers,
        ...(cookie !== '' && { cookie }),
        ...(this.address !== undefined && { 'x-forwarded-for': this.address }),
      },
      redirect: 'manual',
    })
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      if (value === '') this.#jar.delete(name)
      else this.#jar.set(name, value)
    }
    const page = {
      status: response.status,
      headers: response.headers,
      html: await response.text(),
      location: response.headers.get('location') ?? undefined,
    }
    if (page.location === undefined) this.page = page
    return page
  }
}

/** Opens the gateway and creates an account. The visitor is then on the consent page. */
export async function signUp(
  server: { readonly mails: readonly Mail[] },
  gateway: string,
  profile: Record<string, string> = ADA,
): Promise<Visitor> {
  const visitor = new Visitor()
  await visitor.open(`${gateway}/sign-up`)
  await visitor.follow(await visitor.submit('sign-up', profile))
  const code = await arrivedCode(server, profile['email'] ?? '')
  const answer = await visitor.submit('confirm', { code })
  if (answer.location === undefined) throw new Error(`no account was made: ${answer.status} ${answer.html}`)
  await visitor.follow(answer)
  return visitor
}

/** The answer of the gateway in the query of the return URL. */
export function answerOf(location: string | undefined): Record<string, string> {
  const query = new URL(location ?? '').searchParams
  return Object.fromEntries(
    [...query].flatMap(([name, value]) => {
      const inner = /^_ukey1\[(\w+)\]$/.exec(name)?.[1]
      return inner === undefined ? [] : [[inner, value]]
    }),
  )
}
