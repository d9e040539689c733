import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
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
}

/** What a person has granted to an app. */
export interface Grant {
  readonly appId: string
  readonly requestId: string
  readonly connectId: string
  readonly personId: string
  readonly fields: readonly Field[]
}

/** Our answer goes into the query of the return URL under this name. */
export const ANSWER = '_ukey1'

const CONNECTION_LIFETIME = 10 * 60_000
const CODE_LIFETIME = 60_000
export const TOKEN_LIFETIME = 15 * 60_000

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
          message: `each of ${FIELDS.join(', ')} once at the most, with or without !`,
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

/** Connect requests, one-time codes and access tokens, each with its lifetime. */
export function createConnections(storage: Storage) {
  async function read<T>(text: Promise<string | undefined>): Promise<T | undefined> {
    const found = await text
    return found === undefined ? undefined : (JSON.parse(found) as T)
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

    async issueCode(grant: Grant): Promise<string> {
      const code = secret()
      await storage.put(`code:${hashed(code)}`, JSON.stringify(grant), CODE_LIFETIME)
      return code
    },

    /**
     * Exchanges a code for a token, once. Whoever has the code but belongs to another app or request uses it up; whoever
     * brings it a second time takes the token of the first along.
     */
    async exchangeCode(
      code: string,
      of: Omit<Grant, 'personId' | 'fields'>,
    ): Promise<{ token: string; grant: Grant } | undefined> {
      const grant = await read<Grant>(storage.get(`code:${hashed(code)}`))
      const slot = `token:${slotOf(code)}`
      if (grant === undefined) {
        if ((await storage.get(slot)) !== undefined) await storage.put(slot, REVOKED, TOKEN_LIFETIME)
        return undefined
      }
      const same =
        grant.appId === of.appId && grant.requestId === of.requestId && grant.connectId === of.connectId
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
