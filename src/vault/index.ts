export { createVault, type Vault, type VaultOptions } from './vault.ts'
export type { KeyState, VaultKey } from './ring.ts'
export { SealedError, type SealedReason } from '../errors.ts'
export { createFieldVault, type FieldVault } from './fields.ts'
export type { FieldVaultOptions } from './field-options.ts'
export type { FieldIndex } from './field-index.ts'
export { memoryPeople } from './memory-people.ts'
export type { PeopleStore } from './people-store.ts'
export {
  keysInUse,
  reseal,
  type PlaceReport,
  type ResealOptions,
  type ResealReport,
  type SealedBatch,
  type SealedHolder,
  type SealedPlace,
} from './reseal.ts'
export {
  commandKey,
  environmentKey,
  fileKey,
  openVault,
  wrappedKey,
  type KeyProvider,
  type KeyService,
  type ProvidedVaultKey,
  type ProvidedVaultOptions,
} from './providers.ts'
export {
  createPasswords,
  hashPassword,
  needsRehash,
  verifyPassword,
  type Passwords,
  type PasswordsOptions,
} from './passwords.ts'
