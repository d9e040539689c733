export { signRequest, type HeadersLike, type RequestToSign } from './sign.ts'
export { type SigningOptions } from './options.ts'
export { signedFetch, type SignedFetchOptions } from './fetch.ts'
