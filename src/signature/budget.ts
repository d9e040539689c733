// Shared by the verifier and `portcullis/client`, so it must use only the language itself.

/**
 * The limits of one signed request. All of them are checked before the caller is known, so the work that a stranger can cause
 * is linear in the number of characters sent. Within a request head of 16 KiB, the default limit of Node, only the counts can
 * refuse; the limits on characters apply if an operator allows longer heads.
 */

/** Signatures per message. */
export const MOST_LABELS = 4

/** Components per signature. */
export const MOST_COMPONENTS = 32

/** Parameters of all components and signatures in one header. */
export const MOST_PARAMETERS = 256

/** Parameters of a query in which `@query-param` can name one. Query parsers drop any beyond this number. */
export const MOST_QUERY_PARAMETERS = 1000

/** Characters of `Signature-Input` and `Signature` in total: a whole default head. */
export const MOST_CHARACTERS = 16_384

/** Characters in total of all headers that `;sf` and `;key` read as structured fields: a whole default head. */
export const MOST_STRUCTURED_CHARACTERS = 16_384

/** Characters in total of all signature bases that the doctor tries. */
export const MOST_TRIED_CHARACTERS = 65_536
