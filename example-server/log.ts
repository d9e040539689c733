/** What a line says in addition to its event. It must not contain personal data, secrets or addresses. */
export type Facts = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  /** Writes one line. */
  (event: string, facts?: Facts): void
  /**
   * For events that strangers can cause at will: at most one line a minute per event and reason, with the number of
   * skipped ones.
   */
  seldom(event: string, facts?: Facts): void
  /** Writes a line unchanged. Do not use it in production, where each line is JSON. */
  text(line: string): void
}

const PAUSE = 60_000
const MOST_KINDS = 1_000

/** Writes lines for the operator: JSON in production, for programs that collect them; otherwise plain text. */
export function createLog({
  production,
  write = (line) => console.error(line),
  now = Date.now,
}: {
  production: boolean
  write?: (line: string) => void
  now?: () => number
}): Log {
  const kinds = new Map<string, { until: number; others: number }>()

  function log(event: string, facts: Facts = {}): void {
    const known = Object.entries(facts).filter(([, value]) => value !== undefined)
    // Values are quoted as JSON in both forms, so text sent by a caller cannot begin a new line.
    if (production)
      write(JSON.stringify({ time: new Date(now()).toISOString(), event, ...Object.fromEntries(known) }))
    else
      write(
        ['gateway:', event, ...known.map(([name, value]) => `${name}=${JSON.stringify(value)}`)].join(' '),
      )
  }

  function seldom(event: string, facts: Facts = {}): void {
    const kind = `${event} ${facts['code'] ?? facts['reason'] ?? ''}`
    const last = kinds.get(kind)
    if (last !== undefined && last.until > now()) {
      last.others += 1
      return
    }
    if (kinds.size >= MOST_KINDS) kinds.clear()
    kinds.set(kind, { until: now() + PAUSE, others: 0 })
    const others = last?.others ?? 0
    log(event, others === 0 ? facts : { ...facts, since_last_line: others })
  }

  return Object.assign(log, { seldom, text: write })
}

export interface Outage {
  away(cause: unknown): void
  back(): void
}

/** Logs once that a service is unreachable, and once that it is reachable again. `meanwhile` is what happens until then. */
export function createOutageLog(what: string, log: Log, meanwhile = 'requests that need it get 503'): Outage {
  let isAway = false
  return {
    away(cause) {
      if (isAway) return
      isAway = true
      log(`${what} is unreachable: ${meanwhile}`, { reason: causeOf(cause) })
    },
    back() {
      if (!isAway) return
      isAway = false
      log(`${what} is reachable again`)
    },
  }
}

/** The code of an error, or else the first line of its message. Further lines may contain a command and its values. */
export function causeOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown }
  if (typeof code === 'string') return code
  return String(message).split('\n')[0]?.slice(0, 120) ?? ''
}
