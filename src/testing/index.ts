export { policyStoreContract, type StoreUnderTest, type TestRunner } from './policy-store-contract.ts'
