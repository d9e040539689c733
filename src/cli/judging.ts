/** What needs the guards themselves, whose modules are the largest: read only where a command judges. */
export { comparePoliciesOf } from './policies/comparing.ts'
export { tryRequest } from './policies/trying.ts'
