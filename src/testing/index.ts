export { policyStoreContract, type StoreUnderTest, type TestRunner } from './policy-store-contract.ts'
export { namedListContract, type StoreWithLists } from './list-contract.ts'
export { nonceStoreContract, type NonceStoreUnderTest } from './nonce-contract.ts'
