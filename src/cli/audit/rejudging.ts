import type { AuditEvent } from '../../audit/event.ts'
import { eventsOf } from '../../audit/reading/reader.ts'
import { ownEvent } from '../../audit/reading/own-event.ts'
import type { PolicyError } from '../../errors.ts'
import { rejudge, type JudgedDifference } from '../../explain/rejudge.ts'
import type { ListEntry } from '../../list/entry.ts'
import { parsePolicy } from '../../policy/parse.ts'
import { redisStore } from '../../redis/store.ts'
import { CommandUsageError, EXIT, textOf, textsOf, type Invocation } from '../command.ts'
import { readJson } from '../input.ts'
import { allFrames, secretOf, withLog, type Connection } from './connection.ts'
import { documentOf, isJson } from '../output.ts'

export const rejudgeAll = withLog(async (invocation, log) => {
  const { values, env, out } = invocation
  const key = secretOf(env, 'PORTCULLIS_JUDGED_KEY')
  if (key === undefined)
    throw new CommandUsageError(
      'PORTCULLIS_JUDGED_KEY is not set: set it to the `judgements.key` of `auditAccess`, in base64',
    )
  const drafts = await draftsOf(invocation)
  const prefix = textOf(values, 'prefix')
  const store = redisStore(log.redis, prefix === undefined ? {} : { prefix })
  await log.log.write([ownEvent({ operation: 'audit rejudge', time: new Date().toISOString() })])
  const report = await rejudge({
    events: eventsFor(invocation, log, drafts),
    key,
    policyOf: async (appId, revision) => {
      if (drafts.size > 0) return drafts.get(appId)
      const [found] = await store.history(appId, { before: revision + 1, limit: 1 })
      return found?.revision === revision ? found.policy : undefined
    },
    listOf: async (name) => {
      const list = await store.readList(name)
      if (list === undefined) return undefined
      const entries: ListEntry[] = []
      for await (const chunk of list.chunks()) entries.push(...chunk)
      return entries
    },
    onDifference: (difference) => void (!isJson(invocation) && out(lineOf(difference))),
  })
  const { decisions, same, different, notJudged } = report
  if (isJson(invocation)) await out(documentOf(report))
  else {
    const reasons = Object.entries(notJudged).filter(([, count]) => count > 0)
    await out(
      `${decisions} decisions: ${same} unchanged, ${different} changed, ${decisions - same - different} not judged` +
        `${reasons.length === 0 ? '' : ` (${reasons.map(([why, count]) => `${why}: ${count}`).join(', ')})`}\n`,
    )
  }
  return different > 0 || same === 0 ? EXIT.no : EXIT.ok
})

function lineOf({ requestId, appId, recorded, now }: JudgedDifference): string {
  return `${requestId}  ${appId}  ${recorded.guard}  ${recorded.mode} ${recorded.code} -> ${now.mode} ${now.code}\n`
}

/** The draft policies, by app. */
async function draftsOf(invocation: Invocation): Promise<ReadonlyMap<string, unknown>> {
  const drafts = new Map<string, unknown>()
  for (const path of textsOf(invocation.values, 'policy')) {
    const document = await readJson(invocation, path)
    try {
      drafts.set(parsePolicy(document).appId, document)
    } catch (error) {
      throw new CommandUsageError(`\`${path}\` is not a policy: ${(error as PolicyError).message}`)
    }
  }
  return drafts
}

/** With drafts, only the events of their apps. */
async function* eventsFor(
  invocation: Invocation,
  log: Connection,
  drafts: ReadonlyMap<string, unknown>,
): AsyncGenerator<AuditEvent> {
  for await (const frame of allFrames(invocation, log)) {
    for (const event of eventsOf(frame)) {
      if (event !== undefined && (drafts.size === 0 || drafts.has(event.appId ?? ''))) yield event
    }
  }
}
