export { compilePolicy, weighPolicy, type CompiledPolicy, type NamedLists } from './compile.ts'
export { diffPolicies, type PolicyChange } from './diff.ts'
export { isAppId, parsePolicy } from './parse.ts'
export type * from './policy.ts'
