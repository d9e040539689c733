import type { Redis } from 'ioredis'
import type { AuditEvent } from 'portcullis'
import { redisAuditSink, redisStore } from 'portcullis/redis'

/** The number of records per write. */
const BATCH = 500

export const appName = (index: number): string => `app-${String(index).padStart(5, '0')}`

/** Writes apps with policies of a typical size. */
export async function fillApps(redis: Redis, count: number): Promise<void> {
  const store = redisStore(redis)
  for (let from = 0; from < count; from += BATCH)
    await Promise.all(
      Array.from({ length: Math.min(BATCH, count - from) }, (_, index) =>
        store.write({ policy: policyOf(appName(from + index), 3), keys: [] }, 0),
      ),
    )
  await store.write({ policy: policyOf('large', 5_000), keys: [] }, 0)
  store.close()
}

function policyOf(appId: string, ranges: number): { appId: string } {
  return {
    appId,
    name: `The app ${appId}`,
    serverOnly: { mode: 'enforce' },
    ipWhitelist: {
      mode: 'enforce',
      ranges: Array.from({ length: ranges }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`),
    },
    domainProtect: { mode: 'report', domains: [`https://${appId}.example`] },
    returnUrlGuard: { mode: 'enforce', urls: [`https://${appId}.example/callback/`] },
    regionPin: { mode: 'off' },
    auditAccess: { mode: 'enforce' },
  } as { appId: string }
}

/** Writes a named list. */
export async function fillList(redis: Redis, name: string, count: number): Promise<void> {
  const store = redisStore(redis)
  function* entries(): Generator<{ range: string }> {
    for (let index = 0; index < count; index += 1)
      yield { range: `2a00:${(index >> 16).toString(16)}:${(index & 65_535).toString(16)}::/48` }
  }
  await store.writeList(name, entries(), 0)
  store.close()
}

/**
 * Writes events like `redisAuditSink`. Half of them belong to the first app, the others to all apps in turn. The newest
 * is current.
 */
export async function fillEvents(redis: Redis, from: number, to: number, apps: number): Promise<void> {
  const sink = redisAuditSink(redis)
  const begun = Date.now()
  const inFlight = new Set<Promise<unknown>>()
  for (let at = from; at < to; at += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, to - at) }, (_, index) =>
      eventAt(at + index, apps, begun - (to - at - index) * 50),
    )
    const written = Promise.resolve(sink.write(events))
    inFlight.add(written)
    void written.then(() => inFlight.delete(written))
    if (inFlight.size >= 8) await Promise.race(inFlight)
  }
  await Promise.all(inFlight)
}

function eventAt(index: number, apps: number, time: number): AuditEvent {
  const isRefused = index % 10 === 0
  return {
    kind: 'operation',
    version: 1,
    id: `event-${index}`,
    time: new Date(time).toISOString(),
    requestId: `request-${index}`,
    appId: index % 2 === 0 ? appName(0) : appName(index % apps),
    revision: 1,
    operation: 'GET /auth/v2/me',
    outcome: isRefused ? 'refused' : 'answered',
    status: isRefused ? 403 : 200,
    address: `pseudonym-${index % 1_000}`.padEnd(22, '.'),
    decisions: [
      {
        guard: 'auditAccess',
        effect: 'allow',
        mode: 'enforce',
        code: 'ALLOWED',
        detail: 'recorded',
        evidence: {},
      },
      isRefused
        ? {
            guard: 'ipWhitelist',
            effect: 'deny',
            mode: 'enforce',
            code: 'ADDRESS_NOT_ALLOWED',
            detail: 'the address lies outside every range',
            evidence: { source: 'peer' },
          }
        : {
            guard: 'ipWhitelist',
            effect: 'allow',
            mode: 'enforce',
            code: 'ALLOWED',
            detail: 'the address lies in a range',
            evidence: { source: 'peer' },
          },
    ],
  }
}
