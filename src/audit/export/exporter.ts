import { UnavailableError } from '../../errors.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber } from '../../options.ts'
import type { AuditEvent } from '../event.ts'
import type { FrameStore } from '../log/frame-store.ts'
import { createPump } from '../log/pump.ts'
import { eventsOf } from '../reading/reader.ts'

/** Sends events to another system. */
export interface Destination {
  /** The name of its cursor. */
  readonly name: string
  /**
   * Resolves when the destination has accepted the events. It may receive the same events again, with the same batch; the `id` of
   * an event identifies repetitions.
   */
  send(events: readonly AuditEvent[], batch: string): Promise<void>
}

/** Stores how far each destination has read the log. */
export interface CursorStore {
  read(name: string): Promise<string | undefined>
  /** An empty place means the beginning. */
  write(name: string, place: string): Promise<void>
}

export interface ExporterOptions {
  readonly store: FrameStore
  readonly destination: Destination
  readonly cursors: CursorStore
  /** How often to look for new frames, in milliseconds. Default 1,000. */
  readonly interval?: number | undefined
  /** How many frames are sent at once. Default 16. */
  readonly batch?: number | undefined
  /** Called when the destination fails. The batch is retried until the destination accepts it. */
  readonly onError?: ((error: Error) => void) | undefined
}

/** Sends a log to a destination. */
export interface Exporter {
  /** The place up to which the destination has accepted everything. */
  readonly place: string | undefined
  readonly failing: boolean
  /** Starts again after a place, or from the beginning. */
  rewind(place: string | undefined): Promise<void>
  close(): Promise<void>
}

/**
 * Sends all events of a log to a destination, in order, each at least once. The cursor moves when the destination has accepted a
 * batch, so the exporter catches up after an outage. `onError` is called while the destination is unreachable; no event is lost.
 *
 * @throws ConfigError
 */
export function createExporter(options: ExporterOptions): Exporter {
  const checked = checkOptions<ExporterOptions>('createExporter', options, {
    store: required(objectWith('a frame store, such as `redisFrames(redis)`', 'read')),
    destination: required(objectWith('a destination, such as `webhook({ … })`', 'send')),
    cursors: required(objectWith('a store of cursors, such as `redisCursors(redis)`', 'read', 'write')),
    interval: wholeNumber('milliseconds', 1),
    batch: wholeNumber('frames', 1, 1_024),
    onError: aFunction,
  })
  const { store, destination, cursors, interval = 1_000, batch = 16, onError } = checked
  const { name } = destination
  let place: string | undefined
  let known = false
  let rewound = 0

  async function step(): Promise<boolean> {
    if (!known) {
      place = await cursors.read(name)
      known = true
    }
    const begun = rewound
    const frames = await store.read(place, batch)
    const last = frames.at(-1)?.place
    if (last === undefined) return false
    const events = frames.flatMap(eventsOf).filter((event) => event !== undefined)
    if (events.length > 0) await destination.send(events, `${name}/${last}`)
    // A `rewind` during the batch takes precedence.
    if (begun !== rewound) return true
    await cursors.write(name, last)
    place = last
    return frames.length === batch
  }

  const pump = createPump(step, (error) => {
    try {
      onError?.(error instanceof Error ? error : new UnavailableError(`the destination \`${name}\` failed`))
    } catch {
      // An error of the callback must not stop the export.
    }
  })
  pump.poke()
  const timer = setInterval(() => pump.poke(), interval)
  timer.unref()
  return {
    get place() {
      return place
    },
    get failing() {
      return pump.failing
    },
    async rewind(to) {
      rewound += 1
      await cursors.write(name, to ?? '')
      place = to
      known = true
      pump.poke()
    },
    async close() {
      clearInterval(timer)
      await pump.close()
    },
  }
}
