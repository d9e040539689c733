import type { AuditEvent } from '../event.ts'
import { serialiseEvent } from '../line.ts'
import { peopleIn } from '../reading/query.ts'

/** The formats that events can be exported in. */
export type ExportFormat = 'ndjson' | 'ocsf' | 'cloudevents'

export const EXPORT_FORMATS: readonly ExportFormat[] = ['ndjson', 'ocsf', 'cloudevents']

/** OCSF: class 6003 is API Activity, class 6005 Datastore Activity. */
const API_ACTIVITY = 6003
const DATASTORE_ACTIVITY = 6005
const READ = 2
const OTHER = 99

interface AnyEvent {
  readonly operation?: string
  readonly outcome?: string
  readonly status?: number
  readonly field?: string
  readonly fields?: readonly string[]
  readonly record?: string
  readonly purpose?: string
}

/** An event as one line of JSON of the format. */
export function exportLine(event: AuditEvent, format: ExportFormat): string {
  if (format === 'ndjson') return serialiseEvent(event)
  return JSON.stringify(format === 'ocsf' ? toOcsf(event) : toCloudEvent(event))
}

/**
 * The event in OCSF: a read of a field is a Datastore Activity, anything else an API Activity. `unmapped` contains the whole event.
 */
export function toOcsf(event: AuditEvent): object {
  const { operation, outcome, status, field, fields, record, purpose } = event as AnyEvent
  const names = fields ?? (field === undefined ? undefined : [field])
  const isRead = names !== undefined
  const classUid = isRead ? DATASTORE_ACTIVITY : API_ACTIVITY
  const activity = isRead ? READ : OTHER
  const failed = outcome !== undefined && outcome !== 'answered'
  const people = peopleIn(event)
  const { actor, appId, requestId } = event
  return {
    class_uid: classUid,
    category_uid: 6,
    activity_id: activity,
    ...(isRead ? {} : { activity_name: event.kind }),
    type_uid: classUid * 100 + activity,
    time: Date.parse(event.time),
    severity_id: 1,
    status_id: failed ? 2 : 1,
    ...(status === undefined ? {} : { status_code: String(status) }),
    metadata: {
      version: '1.5.0',
      uid: event.id,
      correlation_uid: requestId,
      product: { name: 'portcullis', vendor_name: 'portcullis' },
    },
    actor: {
      ...(actor === undefined ? {} : { user: { uid: actor } }),
      ...(appId === undefined ? {} : { application: { uid: appId, name: appId } }),
    },
    ...(isRead
      ? {
          database: { name: record ?? 'personal data', type_id: OTHER, type: 'record' },
          query_info: { query_string: names.join(' ') },
        }
      : { api: { operation: operation ?? event.kind, request: { uid: requestId } } }),
    src_endpoint: { uid: appId ?? 'unknown' },
    ...(people.length === 0 ? {} : { resources: people.map((uid) => ({ uid, type: 'person' })) }),
    ...(purpose === undefined ? {} : { message: purpose }),
    // The whole event, so that {@link fromOcsf} loses nothing.
    unmapped: { event: JSON.parse(serialiseEvent(event)) as object },
  }
}

/** The event from which {@link toOcsf} made this; `undefined` if `value` is anything else. */
export function fromOcsf(value: unknown): AuditEvent | undefined {
  return (value as { unmapped?: { event?: AuditEvent } } | undefined)?.unmapped?.event
}

/** An event in the envelope of CloudEvents 1.0. */
export function toCloudEvent(event: AuditEvent, source = '/portcullis/audit'): object {
  const [person] = peopleIn(event)
  return {
    specversion: '1.0',
    id: event.id,
    source,
    type: `portcullis.audit.${event.kind}.v1`,
    time: event.time,
    datacontenttype: 'application/json',
    ...(person === undefined ? {} : { subject: person }),
    data: JSON.parse(serialiseEvent(event)) as object,
  }
}

/** The event as an OTLP log record. A receiver recognises repetitions by `log.record.uid`. */
export function toOtlpRecord(event: AuditEvent): object {
  const attributes: Readonly<Record<string, string | undefined>> = {
    'log.record.uid': event.id,
    'portcullis.request.id': event.requestId,
    'portcullis.app.id': event.appId,
  }
  return {
    timeUnixNano: `${Date.parse(event.time)}000000`,
    severityNumber: 9,
    severityText: 'INFO',
    eventName: `portcullis.audit.${event.kind}`,
    body: { stringValue: serialiseEvent(event) },
    attributes: Object.entries(attributes).flatMap(([key, stringValue]) =>
      stringValue === undefined ? [] : [{ key, value: { stringValue } }],
    ),
  }
}
