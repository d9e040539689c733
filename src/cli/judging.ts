/** Commands that need the guards. Their modules are the largest, so only commands that judge load them. */
export { comparePoliciesOf } from './policies/comparing.ts'
export { tryRequest } from './policies/trying.ts'
