import { readFileSync } from 'node:fs'
import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'

/** The process that holds a lock. Its start time distinguishes it from a later process with the same id. */
interface Holder {
  readonly pid: number
  readonly host: string
  /** When the process started, in ticks of the kernel; empty if the system does not provide it. */
  readonly began: string
}

/** How long a holder on another host counts as alive after its last renewal, in milliseconds. */
const LEASE = 60_000
/** How often a holder renews its lock, in milliseconds. */
const RENEWED_EACH = 5_000

/** A held lock: a file that names the process that uses a spool. */
export interface Lock {
  release(): Promise<void>
}

/**
 * Takes a lock that is free, or whose holder is dead.
 *
 * @returns `undefined` if another process holds it.
 */
export async function takeLock(path: string): Promise<Lock | undefined> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      await writeFile(path, JSON.stringify(thisProcess()), { flag: 'wx', mode: 0o600 })
      return held(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    if (await isHeld(path)) return undefined
    await rm(path, { force: true })
  }
  return undefined
}

function held(path: string): Lock {
  const timer = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => undefined)
  }, RENEWED_EACH)
  timer.unref()
  return {
    async release() {
      clearInterval(timer)
      await rm(path, { force: true })
    },
  }
}

/** Whether a living process holds the lock at this path. */
export async function isHeld(path: string): Promise<boolean> {
  let text: string
  let renewed: number
  try {
    text = await readFile(path, 'utf8')
    renewed = (await stat(path)).mtimeMs
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  const isFresh = Date.now() - renewed < LEASE
  const holder = parseHolder(text)
  // A partial file: its process is writing it right now, or died while doing so.
  if (holder === undefined) return isFresh
  return holder.host === hostname() ? isRunning(holder) : isFresh
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, began } = JSON.parse(text) as Partial<Record<keyof Holder, unknown>>
    if (!Number.isSafeInteger(pid) || typeof host !== 'string' || typeof began !== 'string') return undefined
    return { pid: pid as number, host, began }
  } catch {
    return undefined
  }
}

function isRunning({ pid, began }: Holder): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM means that the process runs, but belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return began === '' || beginningOf(pid) === began
}

function thisProcess(): Holder {
  return { pid: process.pid, host: hostname(), began: beginningOf(process.pid) }
}

/** When a process started, and the boot id of the machine. */
function beginningOf(pid: number): string {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // After the name, which may contain spaces and parentheses, the start time is the 20th member.
    const members = line.slice(line.lastIndexOf(')') + 2).split(' ')
    // A zombie process writes nothing any longer.
    if (members[0] === 'Z' || members[0] === 'X') return 'dead'
    return `${members[19]} ${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}`
  } catch {
    return ''
  }
}
