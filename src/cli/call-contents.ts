/** The bodies of requests to the admin API, for `--curl`. */
import {
  CommandUsageError,
  numberOf,
  requiredText,
  textOf,
  type CallContent,
  type Invocation,
} from './command.ts'
import { readJson } from './input.ts'
import { documentOfApp } from './apps/changing.ts'
import { appIdOf } from './policies/named-policy.ts'
import { descriptionOf } from './policies/trying.ts'

type Make = (invocation: Invocation) => Promise<CallContent>

export const newApp: Make = async (invocation) => ({ body: await documentOfApp(invocation) })

export const newPolicy: Make = async (invocation) => {
  const [path = ''] = invocation.positionals
  const policy = await readJson(invocation, path)
  return { names: [appIdOf(policy, path)], body: policy }
}

export const rollbackTo: Make = async ({ values }) => {
  requiredText(values, 'to')
  const note = textOf(values, 'note')
  return { body: { to: numberOf(values, 'to', 1), ...(note !== undefined && { note }) } }
}

export const newKey: Make = async ({ values }) => ({ body: { id: requiredText(values, 'id') } })

export const triedRequest: Make = async (invocation) => {
  const { body, ...description } = await descriptionOf(invocation)
  if (body === undefined) return { body: description }
  const text = typeof body === 'string' ? body : Buffer.from(body).toString()
  if (typeof body !== 'string' && !Buffer.from(text).equals(body))
    throw new CommandUsageError(
      '`--body-file` is not UTF-8, and the console API accepts text only: leave out `--curl`',
    )
  return { body: { ...description, body: text } }
}
