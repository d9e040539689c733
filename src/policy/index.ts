export { compilePolicy, type CompiledPolicy, type NamedLists } from './compile.ts'
export { isAppId, parsePolicy } from './parse.ts'
export type * from './policy.ts'
