/**
 * Whether a secret is hexadecimal, as `openssl rand -hex 32` prints it. It is also base64, but of other bytes, so a signer in
 * another language would use another secret. Random base64 of this length never looks like this.
 */
export function isHexadecimal(text: string): boolean {
  return /^(?:[0-9a-f]{40,}|[0-9A-F]{40,})$/.test(text) && /\d/.test(text) && /[a-f]/i.test(text)
}

/** What a secret that {@link isHexadecimal} was given as, for an error. */
export const HEXADECIMAL = 'hexadecimal; encode the bytes that it stands for in base64'
