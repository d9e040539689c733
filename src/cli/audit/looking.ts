import type { AuditEvent } from '../../audit/event.ts'
import { EXPORT_FORMATS, exportLine, type ExportFormat } from '../../audit/export/mapping.ts'
import { serialiseEvent } from '../../audit/line.ts'
import { linesOf, readFrame } from '../../audit/log/frame.ts'
import { inclusionProof, leafHash } from '../../audit/log/merkle.ts'
import type { AuditQuery } from '../../audit/reading/query.ts'
import { ownEvent } from '../../audit/reading/own-event.ts'
import { printSubjectReport } from '../../audit/reading/subject-report.ts'
import { CommandUsageError, EXIT, numberOf, textOf, type Invocation } from '../command.ts'
import { allFrames, withLog } from './connection.ts'
import { documentOf, isJson } from '../output.ts'

function queryOf({ values }: Invocation): AuditQuery {
  const text = (name: string): string | undefined => textOf(values, name)
  return {
    appId: text('app'),
    person: text('person'),
    field: text('field'),
    from: text('from'),
    to: text('to'),
    code: text('code'),
    requestId: text('request'),
    operation: text('operation'),
  }
}

/** An event for people: time, app, kind, and what happened. */
function lineOf(event: AuditEvent): string {
  const { field, operation, outcome, status } = event as {
    field?: string
    operation?: string
    outcome?: string
    status?: number
  }
  const parts = [event.time, event.appId ?? '-', event.kind, operation ?? field, outcome, status]
  return parts.filter((part) => part !== undefined).join('  ')
}

const showEvent = (invocation: Invocation, event: AuditEvent): void | Promise<void> =>
  invocation.out(`${isJson(invocation) ? serialiseEvent(event) : lineOf(event)}\n`)

export const tail = withLog(async (invocation, log) => {
  const { signal, values } = invocation
  for await (const { event } of log
    .reader()
    .tail(queryOf(invocation), { signal, purpose: textOf(values, 'purpose') })) {
    await showEvent(invocation, event)
  }
  return EXIT.ok
})

export const query = withLog(async (invocation, log) => {
  const { values } = invocation
  const limit = numberOf(values, 'limit', 1) ?? 100
  const page = { after: textOf(values, 'after'), limit, purpose: textOf(values, 'purpose') }
  const { events, next } = await log.reader().query(queryOf(invocation), page)
  for (const { event } of events) await showEvent(invocation, event)
  if (next !== undefined) invocation.error(`for more: --after ${next}\n`)
  return events.length === 0 ? EXIT.no : EXIT.ok
})

export const prove = withLog(async (invocation, log) => {
  const [id = ''] = invocation.positionals
  for await (const { place, bytes } of allFrames(invocation, log)) {
    const lines = linesOf(bytes)
    const index = lines.findIndex((line) => line.includes(`"id":${JSON.stringify(id)}`))
    const event = lines[index]
    if (event === undefined) continue
    await log.log.write([ownEvent({ operation: 'audit prove', time: new Date().toISOString() })])
    const { writer, first, count, previous, root, link } = readFrame(bytes)
    const path = inclusionProof(lines.map(leafHash), index).map((hash) => hash.toString('base64'))
    const base64 = {
      previous: previous.toString('base64'),
      root: root.toString('base64'),
      link: link.toString('base64'),
    }
    await invocation.out(
      documentOf({ event, index, path, place, frame: { writer, first, count, ...base64 } }),
    )
    return EXIT.ok
  }
  invocation.error('there is no event with this id\n')
  return EXIT.no
})

export const subject = withLog(async (invocation, log) => {
  const { values, positionals, out } = invocation
  const revealActors = values['reveal-actors'] === true
  const purpose = textOf(values, 'purpose')
  if (revealActors && purpose === undefined)
    throw new CommandUsageError('`--reveal-actors` needs `--purpose`')
  const report = await log.reader().subject(positionals[0] ?? '', { purpose, revealActors })
  await out(isJson(invocation) ? documentOf(report) : printSubjectReport(report))
  return report.accesses.length === 0 ? EXIT.no : EXIT.ok
})

export const exportAll = withLog(async (invocation, log) => {
  const { values, out } = invocation
  const format = (textOf(values, 'to-format') ?? 'ndjson') as ExportFormat
  if (!EXPORT_FORMATS.includes(format))
    throw new CommandUsageError(
      `\`--to-format\` must be one of ${EXPORT_FORMATS.join(', ')}, got \`${format}\``,
    )
  const reader = log.reader()
  let after: string | undefined
  let count = 0
  do {
    const page = await reader.query(queryOf(invocation), {
      after,
      limit: 1_000,
      purpose: textOf(values, 'purpose'),
      recordAs: 'audit export',
    })
    for (const { event } of page.events) await out(`${exportLine(event, format)}\n`)
    count += page.events.length
    after = page.next
  } while (after !== undefined)
  return count === 0 ? EXIT.no : EXIT.ok
})
