import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Vault } from 'portcullis/vault'
import { FIELDS, type Field } from './people.ts'
import type { Storage } from './storage.ts'

/** A field that an app asks for. */
export interface Wish {
  readonly field: Field
  /** Without it there is no sign-in. */
  readonly mandatory: boolean
}

/** What an app has asked for, until the person has answered. */
export interface Connection {
  readonly id: string
  readonly appId: string
  readonly appName: string
  readonly requestId: string
  readonly wishes: readonly Wish[]
  /** The canonical form that `returnUrlGuard` has approved. */
  readonly returnUrl: string
  /** PKCE (RFC 7636), S256: the app that exchanges the code must know what this is the hash of. */
  readonly codeChallenge?: string | undefined
}

/** What a person has granted to an app. */
export interface Grant {
  readonly appId: string
  readonly requestId: string
  readonly connectId: string
  readonly personId: string
  readonly fields: readonly Field[]
  /** Where the person has granted it, and where their data may be read. */
  readonly region: string
  readonly codeChallenge?: string | undefined
}

/** An app to which a person has granted something, as that person sees it. */
export interface GrantedApp {
  readonly appId: string
  readonly appName: string
  readonly fields: readonly Field[]
  /** When it was granted the last time. */
  readonly at: number
  /** Whether the app can still read by a code or token of it. */
  readonly open: boolean
}

/** Our answer goes into the query of the return URL under this name. */
export const ANSWER = '_ukey1'

const CONNECTION_LIFETIME = 10 * 60_000
const CODE_LIFETIME = 60_000
export const TOKEN_LIFETIME = 15 * 60_000
/** How long a double click leads to the answer that the first click got. */
const ANSWERED_LIFETIME = 60_000
/** How long a grant is listed for the person, and how many. */
const LISTED_LIFETIME = 90 * 24 * 60 * 60_000
const MOST_LISTED = 50

/** A list of fields, or one text with spaces or commas between them; `!` makes one mandatory. */
export const SCOPE = z
  .union([z.string().max(200), z.array(z.string().max(20)).max(12)])
  .transform((scope) =>
    typeof scope === 'string' ? scope.split(/[\s,]+/).filter((word) => word !== '') : scope,
  )
  .transform((words, context) => {
    const wishes = new Map<Field, Wish>()
    for (const word of words) {
      const mandatory = word.endsWith('!')
      const field = FIELDS.find((name) => name === (mandatory ? word.slice(0, -1) : word))
      if (field === undefined || wishes.has(field)) {
        context.addIssue({
          code: 'custom',
          message: `a list of ${FIELDS.join(', ')}, each at most once, with or without !`,
        })
        return z.NEVER
      }
      wishes.set(field, { field, mandatory })
    }
    if (wishes.size > 0) return [...wishes.values()]
    context.addIssue({ code: 'custom', message: 'at least one field' })
    return z.NEVER
  })

/** What is unguessable is stored only as its hash, so that reading the storage gives nobody access. */
const hashed = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
const secret = (): string => randomBytes(32).toString('base64url')

/** Where the token of a code lies. A code has one place for its token, so there is never a second. */
const slotOf = (code: string): string => hashed(`token of ${code}`).slice(0, 22)

/** Lies where a token was, or would have been. */
const REVOKED = 'null'

interface Issued {
  /** The hash of the token. */
  readonly token: string
  readonly grant: Grant
}

interface ListedGrant {
  readonly appId: string
  readonly appName: string
  readonly fields: readonly Field[]
  readonly at: number
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

/** What a grant is sealed in where it is listed for the person. */
export const listedContext = (personId: string, slot: string): string => `grant:${personId}:${slot}`

/** Connect requests, one-time codes and access tokens, each with its lifetime. */
export function createConnections(storage: Storage, vault: Vault) {
  async function read<T>(text: Promise<string | undefined>): Promise<T | undefined> {
    const found = await text
    return found === undefined ? undefined : (JSON.parse(found) as T)
  }

  async function listGrant(slot: string, { personId, appId, fields }: Grant, appName: string): Promise<void> {
    const listed: ListedGrant = { appId, appName, fields, at: Date.now() }
    const sealed = vault.seal(JSON.stringify(listed), listedContext(personId, slot))
    await storage.putEntry(`grants:${personId}`, slot, sealed, LISTED_LIFETIME)
    const all = await listedGrants(personId)
    for (const { slot } of all.slice(MOST_LISTED)) await storage.removeEntry(`grants:${personId}`, slot)
  }

  /** The newest first. */
  async function listedGrants(personId: string): Promise<{ slot: string; listed: ListedGrant }[]> {
    return [...(await storage.entries(`grants:${personId}`))]
      .map(([slot, sealed]) => ({
        slot,
        listed: JSON.parse(vault.open(sealed, listedContext(personId, slot))) as ListedGrant,
      }))
      .toSorted((a, b) => b.listed.at - a.listed.at)
  }

  async function isOpen(slot: string, { at }: ListedGrant): Promise<boolean> {
    const token = await storage.get(`token:${slot}`)
    return token === undefined ? at + CODE_LIFETIME > Date.now() : token !== REVOKED
  }

  return {
    async begin(request: Omit<Connection, 'id'>): Promise<Connection> {
      const connection = { id: secret(), ...request }
      await storage.put(
        `connection:${hashed(connection.id)}`,
        JSON.stringify(connection),
        CONNECTION_LIFETIME,
      )
      return connection
    },

    find: (id: string): Promise<Connection | undefined> => read(storage.get(`connection:${hashed(id)}`)),

    /** Ends the request. Of two answers at once one is told true. */
    end: async (id: string): Promise<boolean> =>
      (await storage.take(`connection:${hashed(id)}`)) !== undefined,

    /** Keeps where the answer leads, for whoever has clicked twice in this session. */
    async keepAnswer(id: string, session: string, location: string): Promise<void> {
      const key = `answered:${hashed(`${id} ${session}`)}`
      await storage.put(key, vault.seal(location, key), ANSWERED_LIFETIME)
    },

    /** Where the first click of this session leads. It may still be on its way. */
    async findAnswer(id: string, session: string): Promise<string | undefined> {
      const key = `answered:${hashed(`${id} ${session}`)}`
      for (let tries = 0; tries < 10; tries += 1) {
        const sealed = await storage.get(key)
        if (sealed !== undefined) return vault.open(sealed, key)
        await pause(50)
      }
      return undefined
    },

    async issueCode(grant: Grant, appName: string): Promise<string> {
      const code = secret()
      await storage.put(`code:${hashed(code)}`, JSON.stringify(grant), CODE_LIFETIME)
      await listGrant(slotOf(code), grant, appName)
      return code
    },

    /** What a person has granted in the last 90 days, by app, the newest first. */
    async grantedApps(personId: string): Promise<GrantedApp[]> {
      const apps = new Map<string, GrantedApp>()
      for (const { slot, listed } of await listedGrants(personId)) {
        const known = apps.get(listed.appId)
        const open = known?.open === true || (await isOpen(slot, listed))
        apps.set(listed.appId, { ...(known ?? listed), open })
      }
      return [...apps.values()]
    },

    /** Takes back every code and token of an app, and forgets that there were any. */
    async revoke(personId: string, appId: string): Promise<void> {
      for (const { slot, listed } of await listedGrants(personId)) {
        if (listed.appId !== appId) continue
        await storage.put(`token:${slot}`, REVOKED, TOKEN_LIFETIME + CODE_LIFETIME)
        await storage.removeEntry(`grants:${personId}`, slot)
      }
    },

    /**
     * Exchanges a code for a token, once. Whoever has the code but belongs to another app or request uses it up; whoever
     * brings it a second time takes the token of the first along.
     */
    async exchangeCode(
      code: string,
      of: Pick<Grant, 'appId' | 'requestId' | 'connectId'> & { readonly codeVerifier?: string | undefined },
    ): Promise<{ token: string; grant: Grant } | undefined> {
      const grant = await read<Grant>(storage.get(`code:${hashed(code)}`))
      const slot = `token:${slotOf(code)}`
      if (grant === undefined) {
        if ((await storage.get(slot)) !== undefined) await storage.put(slot, REVOKED, TOKEN_LIFETIME)
        return undefined
      }
      const same =
        grant.appId === of.appId &&
        grant.requestId === of.requestId &&
        grant.connectId === of.connectId &&
        // RFC 7636, 4.6. A verifier without a challenge is refused too: somebody has lost the challenge on the way.
        grant.codeChallenge === (of.codeVerifier === undefined ? undefined : hashed(of.codeVerifier))
      const token = `${slotOf(code)}.${secret()}`
      const issued: Issued = { token: hashed(token), grant }
      // One step decides who is first, and is the issue at the same time: no second use can come between the two.
      if (same && (await storage.add(slot, JSON.stringify(issued), TOKEN_LIFETIME))) return { token, grant }
      await storage.put(slot, REVOKED, TOKEN_LIFETIME)
      return undefined
    },

    async findToken(token: string): Promise<Grant | undefined> {
      const issued = await read<Issued | null>(storage.get(`token:${token.split('.')[0]}`))
      return issued?.token === hashed(token) ? issued.grant : undefined
    },
  }
}

export type Connections = ReturnType<typeof createConnections>
