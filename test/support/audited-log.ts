import { Redis } from 'ioredis'
import { framesOf, linesOf, parseEvent, verifyLog, type LogProblem } from '../../src/audit/index.ts'
import { redisFrames } from '../../src/redis/index.ts'

/** What the log of an audited server contains about the delivered answers. */
export interface AuditedLog {
  /** Answers without an event for the operation, or for the field that was read. */
  readonly unaudited: number
  readonly doubled: number
  /** The findings of the verification: their number and the first ones. */
  readonly found: number
  readonly problems: readonly LogProblem[]
}

/** Reads and verifies the log in a Redis, and compares it with the ids of the requests whose answers were delivered. */
export async function auditedLog(url: string, delivered: ReadonlySet<string>): Promise<AuditedLog> {
  const redis = new Redis(url)
  try {
    const store = redisFrames(redis)
    const ids = new Set<string>()
    const [fields, operations] = [new Set<string>(), new Set<string>()]
    let doubled = 0
    for await (const { bytes } of framesOf(store)) {
      for (const line of linesOf(bytes)) {
        const event = parseEvent(line)
        if (event === undefined) continue
        if (ids.has(event.id)) doubled += 1
        ids.add(event.id)
        if (event.kind === 'field') fields.add(event.requestId)
        if (event.kind === 'operation') operations.add(event.requestId)
      }
    }
    const { found, problems } = await verifyLog({ frames: framesOf(store) })
    const unaudited = [...delivered].filter((id) => !fields.has(id) || !operations.has(id)).length
    return { unaudited, doubled, found, problems }
  } finally {
    redis.disconnect()
  }
}
