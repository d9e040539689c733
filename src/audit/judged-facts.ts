import { hkdfSync } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { UnavailableError } from '../errors.ts'
import { createVault, type Vault } from '../vault/vault.ts'

/**
 * Encrypts the facts that are kept for judging requests again: 32 bytes, from which a key is derived for each app and month; or a
 * function that returns the key of an app and month, and `undefined` for a destroyed key.
 */
export type JudgedKey = Uint8Array | ((appId: string, month: string) => Uint8Array | undefined)

/** Identifies the request. Facts sealed for one request cannot be opened for another. */
export interface JudgedPlace {
  readonly appId: string
  readonly requestId: string
  /** ISO 8601. */
  readonly time: string
}

/** Seals the facts of a request. */
export interface JudgedSealer {
  /** `undefined` if there is no key. */
  seal(text: string, place: JudgedPlace): string | undefined
  /** `undefined` if the key no longer exists or the text was not sealed for this request. */
  open(sealed: string, place: JudgedPlace): string | undefined
}

const REMEMBERED = 1_000

/** Creates the sealer for a key. */
export function judgedSealer(given: JudgedKey): JudgedSealer {
  const vaults = new LRUCache<string, Vault>({ max: REMEMBERED })

  function keyOf(appId: string, month: string): Uint8Array | undefined {
    if (typeof given === 'function') return given(appId, month)
    return new Uint8Array(hkdfSync('sha256', given, '', `portcullis/judged/1\0${appId}\0${month}`, 32))
  }

  function vaultOf({ appId, time }: JudgedPlace): Vault | undefined {
    const month = time.slice(0, 7)
    const name = `${month} ${appId}`
    const known = vaults.get(name)
    if (known !== undefined) return known
    const key = keyOf(appId, month)
    if (key === undefined) return undefined
    const vault = createVault({ keys: [{ id: month, key }] })
    vaults.set(name, vault)
    return vault
  }

  return {
    seal: (text, place) => vaultOf(place)?.seal(text, contextOf(place)),
    open(sealed, place) {
      try {
        return vaultOf(place)?.open(sealed, contextOf(place))
      } catch (error) {
        if (error instanceof UnavailableError) return undefined
        throw error
      }
    },
  }
}

function contextOf({ appId, requestId }: JudgedPlace): string {
  return `judged\0${appId}\0${requestId}`
}
