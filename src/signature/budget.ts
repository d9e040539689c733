// Shared by the verifier and by `portcullis/client`: nothing here may need more than the language itself.

/**
 * What one signed request may ask of the verifier. All of this is checked before it is known who asks, so that a stranger
 * can cause no more work than what grows with the number of characters sent. Within the 16 KiB that Node takes as the head
 * of a request by default, only counts refuse; the limits of characters hold where an operator allows longer heads.
 */

/** Signatures in one message. */
export const MOST_LABELS = 4

/** Components that one signature covers. */
export const MOST_COMPONENTS = 32

/** Parameters of all components and signatures of one header together. */
export const MOST_PARAMETERS = 256

/** Parameters of a query of which `@query-param` can name one; parsers of queries drop those beyond as many. */
export const MOST_QUERY_PARAMETERS = 1000

/** Characters of `Signature-Input` and `Signature` together: a whole default head. */
export const MOST_CHARACTERS = 16_384

/** Characters of all headers together that are read as structured fields, for `;sf` and `;key`: a whole default head. */
export const MOST_STRUCTURED_CHARACTERS = 16_384

/** Characters of all signature bases together that are tried in the search for the mistake of a signer. */
export const MOST_TRIED_CHARACTERS = 65_536
