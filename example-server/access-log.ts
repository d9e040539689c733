import type { Request, RequestHandler } from 'express'
import type { AuditEvent } from 'portcullis'
import { createPseudonyms, type AuditSink } from 'portcullis/audit'

export interface AccessLogDependencies {
  readonly sink: AuditSink
  readonly pseudonymKey: Uint8Array
  /** The id of the person who is signed in. */
  findPerson(req: Request): Promise<string | undefined>
}

/** One access to the data of a person. */
export interface Access {
  readonly time: string
  /** The app that asked for it; missing where the gateway itself read. */
  readonly app?: string | undefined
  readonly by: 'staff' | 'user' | 'system' | undefined
  readonly what: string
  readonly fields: readonly string[]
  readonly why?: string | undefined
  readonly operation?: string | undefined
}

/** How many accesses the page shows, the newest first. */
const MOST = 200

/**
 * `/account/access-log`: a person sees who has read which field of theirs, when and why, as a page or as JSON. The audit holds
 * pseudonyms alone, so the person's own is made anew from the key. Who of the staff it was is not shown.
 */
export function createAccessLog({ sink, pseudonymKey, findPerson }: AccessLogDependencies): RequestHandler {
  const pseudonymise = createPseudonyms(pseudonymKey)
  return async (req, res) => {
    const person = await findPerson(req)
    const events = eventsOf(sink)
    if (person === undefined) res.status(401).send(page('Please sign in first.', []))
    else if (events === undefined) res.status(501).send(page('This log cannot be read here.', []))
    else {
      const accesses = accessesOf(events, pseudonymise('person', person))
      res.format({
        html: () => res.send(page('Who has used your data', accesses)),
        json: () => res.json(accesses),
      })
    }
  }
}

/** Only the sink in memory can be read here. */
function eventsOf(
  sink: AuditSink & { events?: () => readonly AuditEvent[] },
): readonly AuditEvent[] | undefined {
  return sink.events?.()
}

function accessesOf(events: readonly AuditEvent[], person: string): Access[] {
  const operations = new Map<string, string>()
  for (const event of events) if (event.kind === 'operation') operations.set(event.requestId, event.operation)
  const accesses: Access[] = []
  for (const event of events.toReversed()) {
    const used = useOf(event, person)
    if (used === undefined || accesses.length >= MOST) continue
    const { time, appId: app, actorKind: by, requestId } = event
    accesses.push({ time, app, by, ...used, operation: operations.get(requestId) })
  }
  return accesses
}

/** What of one event concerns this person. */
function useOf(event: AuditEvent, person: string): Pick<Access, 'what' | 'fields' | 'why'> | undefined {
  if (event.kind === 'field' && event.person === person)
    return { what: 'read', fields: [event.field], why: event.purpose }
  if (event.kind === 'list') {
    const [, ...reads] = event.persons.find(([each]) => each === person) ?? ['']
    const fields = event.fields.filter((_field, at) => (reads[at] ?? 0) > 0)
    return fields.length === 0 ? undefined : { what: 'read', fields, why: event.purpose }
  }
  if (event.kind === 'action' && event.persons.includes(person))
    return { what: event.action, fields: event.fields ?? [], why: event.purpose }
  return undefined
}

const escape = (text: string): string => text.replaceAll(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`)

function page(title: string, accesses: readonly Access[]): string {
  const rows = accesses.map(({ time, app, by, what, fields, why, operation }) => {
    const cells = [time, app ?? 'this gateway', by === 'staff' ? 'a member of staff' : (by ?? ''), what]
    const all = [...cells, fields.join(', '), why ?? '', operation ?? '']
    return `<tr>${all.map((cell) => `<td>${escape(cell)}</td>`).join('')}</tr>`
  })
  const names = ['When', 'App', 'By', 'What', 'Fields', 'Why', 'Operation']
  const head = names.map((name) => `<th scope="col">${name}</th>`).join('')
  const table = accesses.length === 0 ? '' : `<table><tr>${head}</tr>${rows.join('')}</table>`
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title} – Example gateway</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/assets/style.css"></head>
<body><main><h1>${title}</h1>${table}<p><a href="/account">Back to your account</a></p></main></body></html>`
}
