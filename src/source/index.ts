export type { App, PolicySource, PolicySourceOptions, PolicySourceStatus } from './contract.ts'
export { createPolicySource } from './policy-source.ts'
