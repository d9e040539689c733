import type { KeyObject } from 'node:crypto'
import { isKeyObject } from 'node:util/types'
import { ConfigError, wrongOption } from '../../errors.ts'
import {
  aFunction,
  checkOptions,
  objectWith,
  oneOf,
  readOptions,
  required,
  wholeNumber,
  type Expectation,
} from '../../options.ts'
import type { People } from '../people/people.ts'
import type { FrameStore } from './frame-store.ts'

/** Where events must be kept before a response may be sent. */
export type AuditLogMode = 'spool' | 'redis' | 'fsync' | 'both' | 'async'

export interface SpoolPlace {
  /** A directory on a disk of this machine. Processes may share it; each has its own files. */
  readonly directory: string
  /** How large the spool of this process may grow, in bytes. Default 1 GiB. */
  readonly maxBytes?: number | undefined
  /** How large one file may grow, in bytes. Default 16 MiB. */
  readonly segmentBytes?: number | undefined
}

export interface AuditLogOptions {
  /** The store of the frames: `redisFrames(redis)` or `memoryFrames()`. */
  readonly store: FrameStore
  /** A directory for frames on this machine, until the store can no longer lose them. */
  readonly spool?: SpoolPlace | undefined
  /**
   * When events count as kept. `spool`: in the spool, or in the store if the spool fails; they survive the process. `redis`: in
   * the store, or in the spool if the store fails. `fsync`: on disk; they survive a power failure. `both`: in the spool and in
   * the store. `async`: immediately; they may be lost. Default: `spool` if there is a spool, otherwise `redis`.
   */
  readonly mode?: AuditLogMode | undefined
  /** Authenticates each frame (HMAC-SHA-256), so that verification finds forged frames. At least 32 bytes. */
  readonly frameKey?: Uint8Array | KeyObject | undefined
  /** Gives each person a secret of their own, so that they can be erased: `people(…)`. */
  readonly people?: People | undefined
  /** How long the store may take, in milliseconds. Default 250. */
  readonly storeTimeout?: number | undefined
  /** How many events may wait; further events are refused. Default 50,000. */
  readonly maxQueue?: number | undefined
  /** How many bytes of events may wait. Default 32 MiB. */
  readonly maxQueueBytes?: number | undefined
  /** Called with every failure of the store or the disk, and with every loss of events. */
  readonly onError?: ((error: Error) => void) | undefined
}

export type AuditLogSettings = Omit<
  AuditLogOptions,
  'mode' | 'storeTimeout' | 'maxQueue' | 'maxQueueBytes'
> & {
  readonly mode: AuditLogMode
  readonly storeTimeout: number
  readonly maxQueue: number
  readonly maxQueueBytes: number
}

const MODES: readonly AuditLogMode[] = ['spool', 'redis', 'fsync', 'both', 'async']

const A_SECRET_KEY: Expectation = {
  expected: 'at least 32 bytes, or a secret `KeyObject` of that size',
  secret: true,
  accepts: (value) =>
    isKeyObject(value)
      ? (value.symmetricKeySize ?? 0) >= 32
      : value instanceof Uint8Array && value.length >= 32,
}

const A_SPOOL: Expectation = {
  expected: 'an object with `directory`',
  accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
}

const A_DIRECTORY: Expectation = {
  expected: 'the path of a directory',
  accepts: (value) => typeof value === 'string' && value !== '',
}

/** @throws ConfigError */
export function checkedAuditLogOptions(options: AuditLogOptions): AuditLogSettings {
  const checked = checkOptions<AuditLogOptions>('auditLog', options, {
    store: required(objectWith('a frame store, such as `redisFrames(redis)`', 'append', 'head', 'read')),
    spool: A_SPOOL,
    mode: oneOf('one of the modes', MODES),
    frameKey: A_SECRET_KEY,
    people: objectWith('the result of `people(…)`', 'named', 'deliver'),
    storeTimeout: wholeNumber('milliseconds', 1, 60_000),
    maxQueue: wholeNumber('events', 1),
    maxQueueBytes: wholeNumber('bytes', 1_024),
    onError: aFunction,
  })
  const spool = checked.spool === undefined ? undefined : checkedSpool(checked.spool)
  const { mode = spool === undefined ? 'redis' : 'spool' } = checked
  if (spool === undefined && mode !== 'redis' && mode !== 'async') {
    throw new ConfigError([
      wrongOption(
        'auditLog.spool',
        `an object with \`directory\`, which the mode \`${mode}\` needs`,
        undefined,
      ),
    ])
  }
  const { storeTimeout = 250, maxQueue = 50_000, maxQueueBytes = 32 * 1_048_576 } = checked
  return { ...checked, spool, mode, storeTimeout, maxQueue, maxQueueBytes }
}

function checkedSpool(given: SpoolPlace): SpoolPlace {
  const [issues, spool] = readOptions('auditLog.spool', given, {
    directory: required(A_DIRECTORY),
    maxBytes: wholeNumber('bytes', 65_536),
    segmentBytes: wholeNumber('bytes', 4_096),
  })
  const [first, ...more] = issues
  if (first !== undefined) throw new ConfigError([first, ...more])
  return spool as unknown as SpoolPlace
}
