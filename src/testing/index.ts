export { policyStoreContract, type StoreUnderTest, type TestRunner } from './policy-store-contract.ts'
export { namedListContract, type StoreWithLists } from './list-contract.ts'
export {
  hostileOrigins,
  hostileReturnUrls,
  rightfulReturnUrls,
  type HostileOrigin,
  type HostileReturnUrl,
  type RightfulReturnUrl,
} from './corpus/index.ts'
export {
  allowed,
  denied,
  type FetchedResponse,
  type ReceivedResponse,
  type ResponseCheck,
} from './response-checks.ts'
export { nonceStoreContract, type NonceStoreUnderTest } from './nonce-contract.ts'
