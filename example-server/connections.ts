import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Vault } from 'portcullis/vault'
import { FIELDS, type Field } from './people.ts'
import type { Storage } from './storage.ts'

/** A field that an app asks for. */
export interface Wish {
  readonly field: Field
  /** The person cannot sign in to the app without sharing it. */
  readonly mandatory: boolean
}

/** A connect request of an app that the person has not answered yet. */
export interface Connection {
  readonly id: string
  readonly appId: string
  readonly appName: string
  readonly requestId: string
  readonly wishes: readonly Wish[]
  /** The canonical form that `returnUrlGuard` allowed. */
  readonly returnUrl: string
  /** PKCE (RFC 7636), S256: to exchange the code, the app must send the verifier of which this is the hash. */
  readonly codeChallenge?: string | undefined
}

/** The fields that a person has granted to an app. */
export interface Grant {
  readonly appId: string
  readonly requestId: string
  readonly connectId: string
  readonly personId: string
  readonly fields: readonly Field[]
  /** The location where the person granted it, and where the app may read the data. */
  readonly region: string
  readonly codeChallenge?: string | undefined
}

/** An app to which a person has granted access, as shown to that person. */
export interface GrantedApp {
  readonly appId: string
  readonly appName: string
  readonly fields: readonly Field[]
  /** The time of the latest grant, in milliseconds since the epoch. */
  readonly at: number
  /** Whether the app still has a code or token with which it can read. */
  readonly open: boolean
}

/** The query parameter of the return URL that contains the gateway's answer. */
export const ANSWER = '_ukey1'

const CONNECTION_LIFETIME = 10 * 60_000
const CODE_LIFETIME = 60_000
export const TOKEN_LIFETIME = 15 * 60_000
/** How long the second click of a double click gets the answer of the first, in milliseconds. */
const ANSWERED_LIFETIME = 60_000
/** How long grants are listed for the person, in milliseconds, and how many of them. */
const LISTED_LIFETIME = 90 * 24 * 60 * 60_000
const MOST_LISTED = 50

/**
 * A list of field names, or a string with the names separated by spaces or commas. A trailing `!` makes a field
 * mandatory.
 */
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

/** Codes, tokens and ids are stored only as hashes, so that reading the storage gives nobody access. */
const hashed = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
const secret = (): string => randomBytes(32).toString('base64url')

/** The name under which the token of a code is stored. It depends only on the code, so a code never has two tokens. */
const slotOf = (code: string): string => hashed(`token of ${code}`).slice(0, 22)

/** Stored in place of a token that was revoked, or that must not be issued. */
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

/** The encryption context of a grant in the list of a person. */
export const listedContext = (personId: string, slot: string): string => `grant:${personId}:${slot}`

/** Stores connect requests, one-time codes and access tokens, each with its lifetime. */
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

  /** Newest first. */
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

    /** Ends the request. If it is called twice at the same time, only one call resolves with `true`. */
    end: async (id: string): Promise<boolean> =>
      (await storage.take(`connection:${hashed(id)}`)) !== undefined,

    /** Stores the URL of the answer, for a second click in the same session. */
    async keepAnswer(id: string, session: string, location: string): Promise<void> {
      const key = `answered:${hashed(`${id} ${session}`)}`
      await storage.put(key, vault.seal(location, key), ANSWERED_LIFETIME)
    },

    /** The URL that the first click of this session leads to. Waits up to half a second if it is not stored yet. */
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

    /** The apps to which a person granted access in the last 90 days, newest first. */
    async grantedApps(personId: string): Promise<GrantedApp[]> {
      const apps = new Map<string, GrantedApp>()
      for (const { slot, listed } of await listedGrants(personId)) {
        const known = apps.get(listed.appId)
        const open = known?.open === true || (await isOpen(slot, listed))
        apps.set(listed.appId, { ...(known ?? listed), open })
      }
      return [...apps.values()]
    },

    /** Revokes every code and token of an app, or of all apps, and removes them from the person's list. */
    async revoke(personId: string, appId?: string): Promise<void> {
      for (const { slot, listed } of await listedGrants(personId)) {
        if (appId !== undefined && listed.appId !== appId) continue
        await storage.put(`token:${slot}`, REVOKED, TOKEN_LIFETIME + CODE_LIFETIME)
        await storage.removeEntry(`grants:${personId}`, slot)
      }
    },

    /**
     * Exchanges a code for a token, once. If another app or request presents the code, the code is used up. If the code
     * is presented a second time, the token of the first time is revoked.
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
        // RFC 7636, 4.6. A verifier without a challenge is refused too: somebody may have removed the challenge in
        // transit.
        grant.codeChallenge === (of.codeVerifier === undefined ? undefined : hashed(of.codeVerifier))
      const token = `${slotOf(code)}.${secret()}`
      const issued: Issued = { token: hashed(token), grant }
      // This atomic step both checks that the code is unused and issues the token, so two uses cannot both succeed.
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
