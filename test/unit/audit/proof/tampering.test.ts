import { createSecretKey, randomBytes } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { linesOf, makeFrame, readFrame, type Frame } from '../../../../src/audit/log/frame.ts'
import type { StoredFrame } from '../../../../src/audit/log/frame-store.ts'
import type { LogStart } from '../../../../src/audit/log/log-start.ts'
import { GrowingTree } from '../../../../src/audit/log/merkle.ts'
import { signCheckpoint, readCheckpoint } from '../../../../src/audit/proof/checkpoint.ts'
import { leafOf } from '../../../../src/audit/proof/sealer.ts'
import { verifyLog, type LogProblemCode, type LogReport } from '../../../../src/audit/proof/verify.ts'
import { FRAME_KEY, KEY, linesFrom, logOf, newKey, ORIGIN, Writers, type MadeLog } from './made-log.ts'

/** Three writers in turn, with frames of one to twelve events. */
const turns = Array.from(
  { length: 24 },
  (_, index) => [['anna', 'ben', 'cleo'][index % 3] ?? '', 1 + (index % 12)] as const,
)

let log: MadeLog
let other: MadeLog
beforeAll(async () => {
  const writers = new Writers()
  log = await logOf(
    turns.map(([writer, count]) => writers.make(writer, count)),
    5,
  )
  const others = new Writers()
  other = await logOf(
    turns.map(([, count], index) => others.make(`x${index % 3}`, count)),
    5,
  )
})

/** A log that somebody has tampered with. */
interface Tampered {
  frames: StoredFrame[]
  checkpoints: string[]
  start?: LogStart
}

const verify = (tampered: Tampered | MadeLog): Promise<LogReport> =>
  verifyLog({ ...tampered, keys: [KEY], origin: ORIGIN, frameKey: FRAME_KEY })

const bytesAt = (frames: readonly StoredFrame[], index: number): Buffer =>
  frames.at(index)?.bytes ?? Buffer.alloc(0)
/** Replaces the bytes of a frame. */
const put = ({ frames }: Tampered, index: number, bytes: Buffer): void => {
  const at = index < 0 ? frames.length + index : index
  frames[at] = { place: frames[at]?.place ?? '', bytes }
}
/** Changes one byte, counted from the end if negative. */
const flip = (tampered: Tampered, index: number, at: number): void => {
  const bytes = Buffer.from(bytesAt(tampered.frames, index))
  const place = at < 0 ? bytes.length + at : at
  bytes[place] = (bytes[place] ?? 0) ^ 1
  put(tampered, index, bytes)
}
/** The offset of a member of a frame, after three bytes and the name of its writer. */
const member = (frame: Frame, behind: number): number => 3 + frame.writer.length + behind

/** Rebuilds a frame with other events. */
const remake = (
  tampered: Tampered,
  index: number,
  change: (lines: string[]) => readonly string[],
  key: typeof FRAME_KEY | false = FRAME_KEY,
): void => {
  const frame = readFrame(bytesAt(tampered.frames, index))
  const lines = change([...linesOf(frame.bytes)])
  put(tampered, index, makeFrame({ ...frame, lines, key: key === false ? undefined : key }).bytes)
}
/** The same, and also rebuilds the chain of all later frames of the writer, which requires the frame key. */
const rechain = (tampered: Tampered, index: number, change: (lines: string[]) => readonly string[]): void => {
  remake(tampered, index, change)
  let last = readFrame(bytesAt(tampered.frames, index))
  for (let at = index + 1; at < tampered.frames.length; at += 1) {
    const frame = readFrame(bytesAt(tampered.frames, at))
    if (frame.writer !== last.writer) continue
    last = makeFrame({
      writer: frame.writer,
      first: last.first + last.count,
      previous: last.link,
      lines: linesOf(frame.bytes),
      key: FRAME_KEY,
    })
    put(tampered, at, last.bytes)
  }
}
const insert = ({ frames }: Tampered, index: number, bytes: Buffer): void => {
  const before = frames[index - 1]?.place ?? '0'
  frames.splice(index, 0, { place: before, bytes })
  renumber(frames)
}
/** Assigns ascending places. */
const renumber = (frames: StoredFrame[]): void => {
  for (const [index, { bytes }] of frames.entries()) frames[index] = { place: String(index + 1), bytes }
}
const foreign = (key?: typeof FRAME_KEY): Buffer =>
  makeFrame({
    writer: 'mallory',
    first: 1,
    previous: Buffer.alloc(32),
    lines: linesFrom('mallory', 1, 2),
    key,
  }).bytes
const isOf =
  (writer: string) =>
  (frame: StoredFrame): boolean =>
    readFrame(frame.bytes).writer === writer
const edit = (lines: string[]): string[] => [lines[0]?.replace('email', 'phone') ?? '', ...lines.slice(1)]
const noteText = (note: string): string => note.slice(0, note.indexOf('\n\n') + 1)
const signatureOf = (note: string): string => note.slice(note.indexOf('\n\n') + 1)
/** The start of a log whose beginning was removed by retention. */
function startOf(frames: readonly StoredFrame[], size: number): LogStart {
  const tree = new GrowingTree()
  const writers: Record<string, [number, string]> = {}
  for (const { bytes } of frames.slice(0, size)) {
    tree.add(leafOf(bytes))
    const { writer, first, count, link } = readFrame(bytes)
    writers[writer] = [first + count - 1, link.toString('base64')]
  }
  return {
    size,
    peaks: tree.peaks.map((peak) => peak.toString('base64')),
    writers,
    checkpoint: signCheckpoint({ origin: ORIGIN, size, root: tree.root() }, KEY),
    place: frames[size - 1]?.place ?? '',
  }
}
const cut = (tampered: Tampered, size: number): void => {
  tampered.start = startOf(tampered.frames, size)
  tampered.frames.splice(0, size)
}

type Row = readonly [what: string, tamper: (log: Tampered) => void, found: LogProblemCode]

const rows: readonly Row[] = [
  ['one byte of an event is changed', (t) => flip(t, 3, -3), 'FRAME_CHANGED'],
  ['one byte of a deflated body is changed', (t) => flip(t, 10, -10), 'FRAME_UNREADABLE'],
  [
    'an event is changed, the frame made anew without the key',
    (t) => remake(t, 4, edit, false),
    'FRAME_FOREIGN',
  ],
  [
    'an event is changed, the frame made anew with a foreign key',
    (t) => remake(t, 4, edit, createSecretKey(Buffer.alloc(32, 9))),
    'FRAME_FOREIGN',
  ],
  ['an event is changed, the frame made anew with the key', (t) => remake(t, 4, edit), 'CHAIN_BROKEN'],
  [
    'an event is changed, all later frames chained anew with the key',
    (t) => rechain(t, 4, edit),
    'CHECKPOINT_DIFFERS',
  ],
  [
    'an event of the last frame is changed, made anew with the key',
    (t) => remake(t, -1, edit),
    'CHECKPOINT_DIFFERS',
  ],
  ['an event is taken out', (t) => remake(t, 4, (lines) => lines.slice(1)), 'EVENTS_MISSING'],
  [
    'an event is taken out, all later frames chained anew',
    (t) => rechain(t, 4, (lines) => lines.slice(1)),
    'CHECKPOINT_DIFFERS',
  ],
  [
    'an event is added',
    (t) => remake(t, 4, (lines) => [...lines, ...linesFrom('anna', 90, 1)]),
    'EVENTS_TWICE',
  ],
  [
    'an event is added, all later frames chained anew',
    (t) => rechain(t, 4, (lines) => [...lines, ...linesFrom('anna', 90, 1)]),
    'CHECKPOINT_DIFFERS',
  ],
  [
    'events of a frame change places',
    (t) => rechain(t, 4, (lines) => lines.toReversed()),
    'CHECKPOINT_DIFFERS',
  ],
  [
    'the person of an event is another',
    (t) => rechain(t, 6, ([line = '', ...rest]) => [line.replace(/person-\d/, 'person-9'), ...rest]),
    'CHECKPOINT_DIFFERS',
  ],
  [
    'the time of an event is another',
    (t) => rechain(t, 6, ([line = '', ...rest]) => [line.replace('T12', 'T11'), ...rest]),
    'CHECKPOINT_DIFFERS',
  ],
  [
    'an event is replaced by something else',
    (t) => rechain(t, 6, ([, ...rest]) => ['{}', ...rest]),
    'EVENT_UNREADABLE',
  ],
  ['an event is emptied', (t) => rechain(t, 6, ([, ...rest]) => ['', ...rest]), 'EVENT_UNREADABLE'],
  [
    'the number of a frame is raised',
    (t) => flip(t, 3, member(readFrame(bytesAt(t.frames, 3)), 6)),
    'EVENTS_MISSING',
  ],
  [
    'the count of a frame is changed',
    (t) => flip(t, 3, member(readFrame(bytesAt(t.frames, 3)), 11)),
    'FRAME_UNREADABLE',
  ],
  ['the writer of a frame is renamed', (t) => flip(t, 3, 4), 'FRAME_FOREIGN'],
  [
    'the link to the frame before is changed',
    (t) => flip(t, 3, member(readFrame(bytesAt(t.frames, 3)), 20)),
    'CHAIN_BROKEN',
  ],
  [
    'the root of a frame is changed',
    (t) => flip(t, 3, member(readFrame(bytesAt(t.frames, 3)), 50)),
    'FRAME_CHANGED',
  ],
  [
    'the stated length of a body is changed',
    (t) => flip(t, 3, member(readFrame(bytesAt(t.frames, 3)), 79)),
    'FRAME_UNREADABLE',
  ],
  [
    'the signature of a frame is changed',
    (t) => flip(t, 3, member(readFrame(bytesAt(t.frames, 3)), 85)),
    'FRAME_FOREIGN',
  ],
  ['the signature of a frame is removed', (t) => remake(t, 3, (lines) => lines, false), 'FRAME_FOREIGN'],
  ['the mark of a frame is changed', (t) => flip(t, 3, 0), 'FRAME_UNREADABLE'],
  ['a frame is cut', (t) => put(t, 3, bytesAt(t.frames, 3).subarray(0, 150)), 'FRAME_UNREADABLE'],
  [
    'something is appended to a frame',
    (t) => put(t, 3, Buffer.concat([bytesAt(t.frames, 3), Buffer.from('x')])),
    'FRAME_UNREADABLE',
  ],
  [
    'something is hidden behind a deflated body',
    (t) => put(t, 10, Buffer.concat([bytesAt(t.frames, 10), Buffer.from('secret')])),
    'FRAME_UNREADABLE',
  ],
  ['a frame is emptied', (t) => put(t, 3, Buffer.alloc(0)), 'FRAME_UNREADABLE'],
  ['a frame is replaced by noise', (t) => put(t, 3, randomBytes(300)), 'FRAME_UNREADABLE'],
  [
    'the body of a frame is that of another',
    (t) =>
      put(
        t,
        10,
        Buffer.concat([
          bytesAt(t.frames, 10).subarray(0, 3 + readFrame(bytesAt(t.frames, 10)).writer.length + 80 + 32),
          deflateRawSync(Buffer.from(linesFrom('x', 1, 11).join('\n'))),
        ]),
      ),
    'FRAME_UNREADABLE',
  ],
  ['the first frame is deleted', (t) => void t.frames.shift(), 'EVENTS_MISSING'],
  ['a frame in the middle is deleted', (t) => void t.frames.splice(9, 1), 'EVENTS_MISSING'],
  ['the last frame is deleted', (t) => void t.frames.pop(), 'FRAMES_MISSING'],
  ['the last three frames are deleted', (t) => void t.frames.splice(-3), 'FRAMES_MISSING'],
  ['the last half is deleted', (t) => void t.frames.splice(12), 'FRAMES_MISSING'],
  ['everything is deleted', (t) => void t.frames.splice(0), 'FRAMES_MISSING'],
  ['the first half is trimmed', (t) => void t.frames.splice(0, 12), 'EVENTS_MISSING'],
  [
    'a writer is removed entirely',
    (t) => void (t.frames = t.frames.filter((frame) => !isOf('ben')(frame))),
    'CHECKPOINT_DIFFERS',
  ],
  [
    'the newest frames of one writer are removed',
    (t) => void (t.frames = t.frames.filter((frame, index) => index < 15 || !isOf('ben')(frame))),
    'FRAMES_MISSING',
  ],
  ['a frame is there twice in a row', (t) => insert(t, 4, bytesAt(t.frames, 3)), 'EVENTS_TWICE'],
  [
    'a frame is there again at the end',
    (t) => insert(t, t.frames.length, bytesAt(t.frames, 3)),
    'EVENTS_TWICE',
  ],
  [
    'the whole log is there twice',
    (t) => {
      t.frames.push(...t.frames)
      renumber(t.frames)
    },
    'EVENTS_TWICE',
  ],
  [
    'two frames of different writers change places',
    (t) => {
      const [a, b] = [bytesAt(t.frames, 3), bytesAt(t.frames, 4)]
      put(t, 3, b)
      put(t, 4, a)
    },
    'CHECKPOINT_DIFFERS',
  ],
  [
    'two frames of one writer change places',
    (t) => {
      const [a, b] = [bytesAt(t.frames, 3), bytesAt(t.frames, 6)]
      put(t, 3, b)
      put(t, 6, a)
    },
    'EVENTS_MISSING',
  ],
  [
    'the log is reversed',
    (t) => {
      t.frames.reverse()
      renumber(t.frames)
    },
    'EVENTS_MISSING',
  ],
  ['the places do not ascend', (t) => void t.frames.reverse(), 'ORDER_WRONG'],
  ['a frame of a stranger is inserted', (t) => insert(t, 4, foreign()), 'FRAME_FOREIGN'],
  ['a frame of a stranger is appended', (t) => insert(t, t.frames.length, foreign()), 'FRAME_FOREIGN'],
  [
    'a frame with a foreign key is inserted',
    (t) => insert(t, 4, foreign(createSecretKey(Buffer.alloc(32, 9)))),
    'FRAME_FOREIGN',
  ],
  ['a frame with the stolen key is inserted', (t) => insert(t, 4, foreign(FRAME_KEY)), 'CHECKPOINT_DIFFERS'],
  [
    'the log is replaced by another of the same size and key',
    (t) => void (t.frames = [...other.frames]),
    'CHECKPOINT_DIFFERS',
  ],
  [
    'the log is replaced by another, checkpoints included, of a foreign key',
    (t) => {
      t.frames = [...other.frames]
      t.checkpoints = t.checkpoints.map((note) => signCheckpoint(readCheckpoint(note, [KEY]), newKey()))
    },
    'CHECKPOINT_UNREADABLE',
  ],
  [
    'the size of a checkpoint is changed',
    (t) => void (t.checkpoints[1] = t.checkpoints[1]?.replace('\n10\n', '\n11\n') ?? ''),
    'CHECKPOINT_UNREADABLE',
  ],
  [
    'the root of a checkpoint is changed',
    (t) => void (t.checkpoints[1] = t.checkpoints[1]?.replace(/\n10\n./, '\n10\n/') ?? ''),
    'CHECKPOINT_UNREADABLE',
  ],
  [
    'the name of the log in a checkpoint is changed',
    (t) => void (t.checkpoints[1] = t.checkpoints[1]?.replace(ORIGIN, 'example.org/other') ?? ''),
    'CHECKPOINT_UNREADABLE',
  ],
  [
    'a checkpoint is of another log of the key',
    (t) =>
      void t.checkpoints.push(
        signCheckpoint({ origin: 'example.org/other', size: 5, root: Buffer.alloc(32) }, KEY),
      ),
    'CHECKPOINT_FOREIGN',
  ],
  [
    'a checkpoint is signed with a foreign key of the same name',
    (t) => void (t.checkpoints[1] = signCheckpoint(readCheckpoint(t.checkpoints[1] ?? '', [KEY]), newKey())),
    'CHECKPOINT_UNREADABLE',
  ],
  [
    'a checkpoint has the signature of another',
    (t) => void (t.checkpoints[1] = noteText(t.checkpoints[1] ?? '') + signatureOf(t.checkpoints[2] ?? '')),
    'CHECKPOINT_UNREADABLE',
  ],
  [
    'the signature of a checkpoint is cut off',
    (t) => void (t.checkpoints[1] = noteText(t.checkpoints[1] ?? '')),
    'CHECKPOINT_UNREADABLE',
  ],
  ['a checkpoint is replaced by noise', (t) => void (t.checkpoints[1] = 'noise'), 'CHECKPOINT_UNREADABLE'],
  [
    'the key has signed two logs of one size',
    (t) => void t.checkpoints.push(...other.checkpoints),
    'CHECKPOINT_DIFFERS',
  ],
  [
    'a beginning is cut off that was never signed',
    (t) => {
      cut(t, 7)
      if (t.start)
        t.start = {
          ...t.start,
          checkpoint: signCheckpoint({ origin: ORIGIN, size: 7, root: Buffer.alloc(32) }, newKey()),
        }
    },
    'CHECKPOINT_UNREADABLE',
  ],
  [
    'a beginning is cut off that is said to be another',
    (t) => {
      cut(t, 7)
      t.start = startOf(other.frames, 7)
    },
    'CHECKPOINT_DIFFERS',
  ],
  [
    'a beginning is cut off that is longer than is said',
    (t) => {
      cut(t, 7)
      t.frames.shift()
    },
    'EVENTS_MISSING',
  ],
  [
    'a beginning has hashes that are not those that were signed',
    (t) => {
      cut(t, 7)
      if (t.start) t.start = { ...t.start, peaks: startOf(other.frames, 7).peaks }
    },
    'START_WRONG',
  ],
  [
    'a beginning has hashes of another size',
    (t) => {
      cut(t, 7)
      if (t.start) t.start = { ...t.start, size: 5 }
    },
    'START_WRONG',
  ],
]

describe('a log that was tampered with', () => {
  it('is one of at least 40 kinds, each with its own name', () => {
    expect(new Set(rows.map(([what]) => what)).size).toBe(rows.length)
    expect(rows.length).toBeGreaterThanOrEqual(40)
  })

  it.each(rows)('is detected: %s', async (_what, tamper, code) => {
    const tampered: Tampered = { frames: [...log.frames], checkpoints: [...log.checkpoints] }
    tamper(tampered)
    const { problems, found } = await verify(tampered)
    expect(problems.map((problem) => problem.code)).toContain(code)
    expect(found).toBeGreaterThan(0)
  })
})

describe('an intact log', () => {
  it('verifies with all checkpoints', async () => {
    expect(await verify(log)).toEqual({
      frames: 24,
      events: 156,
      writers: 3,
      sealed: 24,
      checkpoints: 5,
      problems: [],
      found: 0,
    })
  })

  it('gives no false alarm, however it is written, sealed and archived', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 1, max: 20 })), {
          minLength: 1,
          maxLength: 40,
        }),
        fc.integer({ min: 1, max: 10 }),
        fc.nat(40),
        async (turns, each, cutAt) => {
          const writers = new Writers()
          const made = await logOf(
            turns.map(([writer, count]) => writers.make(writer, count)),
            each,
          )
          expect((await verify(made)).problems).toEqual([])
          const tampered: Tampered = { frames: [...made.frames], checkpoints: [...made.checkpoints] }
          if (cutAt > 0 && cutAt < made.frames.length) cut(tampered, cutAt)
          const report = await verify(tampered)
          expect(report.problems).toEqual([])
          expect(report.sealed).toBe(made.frames.length)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('may have frames that are not sealed yet, within the given limit', async () => {
    const checkpoints = log.checkpoints.slice(0, 4)
    const unsealed = { frames: log.frames, checkpoints, keys: [KEY], frameKey: FRAME_KEY }
    expect((await verifyLog(unsealed)).problems).toEqual([])
    const strict = await verifyLog({ ...unsealed, maxUnsealed: 3 })
    expect(strict.problems.map(({ code }) => code)).toEqual(['FRAMES_UNSEALED'])
  })
})
