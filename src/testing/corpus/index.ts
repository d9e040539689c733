import { hostileAddresses } from './hostile-addresses.ts'
import { hostileAuthorities } from './hostile-authorities.ts'
import { hostileCharacters } from './hostile-characters.ts'
import { hostileEncodings } from './hostile-encodings.ts'
import { hostileNames } from './hostile-names.ts'
import { hostilePaths } from './hostile-paths.ts'
import { hostileReferences } from './hostile-references.ts'
import { hostileSchemes } from './hostile-schemes.ts'
import {
  hostileOriginLines,
  hostileUrlLines,
  rightfulUrlLines,
  type HostileOrigin,
  type HostileReturnUrl,
  type RightfulReturnUrl,
} from './lines.ts'
import { misnamedOrigins } from './misnamed-origins.ts'
import { misspeltOrigins } from './misspelt-origins.ts'
import { otherOrigins } from './other-origins.ts'
import { rightfulEntries } from './rightful-entries.ts'
import { rightfulPaths } from './rightful-paths.ts'

export type { HostileOrigin, HostileReturnUrl, RightfulReturnUrl } from './lines.ts'

/**
 * Return URLs that no `returnUrlGuard` may admit, each with the trick, the reason and the entries that it attacks. An app
 * whose only entry is `https://example.org/callback/` must refuse all of them.
 */
export const hostileReturnUrls: readonly HostileReturnUrl[] = hostileUrlLines([
  ...hostileAuthorities,
  ...hostileNames,
  ...hostileAddresses,
  ...hostileSchemes,
  ...hostileReferences,
  ...hostilePaths,
  ...hostileEncodings,
  ...hostileCharacters,
])

/** Return URLs that must be admitted, each with the entries that must admit it. */
export const rightfulReturnUrls: readonly RightfulReturnUrl[] = rightfulUrlLines([
  ...rightfulPaths,
  ...rightfulEntries,
])

const origins = hostileOriginLines([...otherOrigins, ...misnamedOrigins, ...misspeltOrigins])

/**
 * A text that can arrive in a header unchanged: clients refuse other characters, and surrounding spaces are lost in transit.
 */
const SENDABLE = /^(?! )[ -~]*(?<! )$/

/**
 * Texts of an `Origin` header that no `domainProtect` may admit, each with the trick, the reason and the entries that it
 * attacks. An app whose only entry is `https://example.org` must refuse all of them.
 */
export const hostileOrigins: readonly HostileOrigin[] = origins.filter(({ origin }) => SENDABLE.test(origin))

/** Like {@link hostileOrigins}, for texts that cannot arrive in a header. */
export const unsendableOrigins: readonly HostileOrigin[] = origins.filter(
  ({ origin }) => !SENDABLE.test(origin),
)
