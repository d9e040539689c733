import { reportChecks, type Check } from '../checks.ts'
import { isSet, textOf, type Run } from '../command.ts'
import { projectChecks } from './project-checks.ts'
import { storeChecks } from './store-checks.ts'
import { urlChecks } from './url-checks.ts'

export const doctor: Run = async (invocation) => {
  const checks: Check[] = [
    ...(await urlChecks(textOf(invocation.values, 'url'))),
    ...(await projectChecks(invocation)),
    ...(await storeChecks(invocation)),
  ]
  return reportChecks(invocation, checks, isSet(invocation.values, 'strict'))
}
