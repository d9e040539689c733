import type { VaultKey } from '../vault/ring.ts'
import { createVault, type Vault } from '../vault/vault.ts'
import { CommandUsageError, textOf, type Invocation } from './command.ts'
import { readSource } from './input.ts'

const VARIABLE = 'PORTCULLIS_VAULT_KEY'

/** What to do if a vault is needed but no key is given. */
export const VAULT_MISSING =
  `${VARIABLE} is not set, and \`--vault-key-file\` is missing: the keys of apps are encrypted with this key. ` +
  'Create one with `openssl rand -base64 32`, and give it to your servers too'

/**
 * The vault with the keys in the environment or in a file: 32 bytes in base64 each, separated by spaces, lines or commas. The
 * first one seals. A key may have an id in front, with a colon between: `2026:…`.
 */
export async function readVault(invocation: Invocation): Promise<Vault | undefined> {
  const file = textOf(invocation.values, 'vault-key-file')
  const text = file === undefined ? invocation.env[VARIABLE] : await readSource(invocation, file)
  const words = (text ?? '').split(/[\s,]+/).filter((word) => word !== '')
  if (words.length === 0) return undefined
  const keys = words.map((word): VaultKey => {
    const colon = word.indexOf(':')
    const id = colon === -1 ? (invocation.env['PORTCULLIS_VAULT_KEY_ID'] ?? 'default') : word.slice(0, colon)
    return { id, key: word.slice(colon + 1) }
  })
  try {
    return createVault({ keys })
  } catch {
    // The message of createVault names its own options, which do not appear on the command line.
    throw new CommandUsageError(
      `${file === undefined ? VARIABLE : `\`${file}\``} must contain keys of 32 bytes in base64, separated by commas, each as \`KEY\` or \`ID:KEY\` with a unique id`,
    )
  }
}
