export { createVault, type Vault, type VaultKey, type VaultOptions } from './vault.ts'
