import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A disk of a few megabytes, which a test can fill. */
export interface SmallDisk {
  readonly path: string
  remove(): void
}

const MOUNT = ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs']

/**
 * A real file system that fails with ENOSPC when it is full: a `tmpfs` of 4 MB. Root mounts it directly. Other users
 * let a process mount it in a user namespace, and access it through that process. `undefined` if the system allows
 * neither.
 */
export async function smallDisk(): Promise<SmallDisk | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-disk-'))
  return asRoot(folder) ?? (await inNamespace(folder))
}

/** Whether the system supports such a disk. */
export async function canHaveSmallDisk(): Promise<boolean> {
  const disk = await smallDisk()
  disk?.remove()
  return disk !== undefined
}

function asRoot(folder: string): SmallDisk | undefined {
  try {
    execFileSync('mount', [...MOUNT, folder], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  return {
    path: folder,
    remove() {
      execFileSync('umount', ['-l', folder])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function inNamespace(folder: string): Promise<SmallDisk | undefined> {
  // `cat` ends with its standard input, and therefore with this process.
  const script = `mount ${MOUNT.join(' ')} "$0" && echo mounted && exec cat`
  const holder = spawn('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', script, folder], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const remove = (): void => {
    holder.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  if (!(await isMounted(holder))) {
    remove()
    return undefined
  }
  return { path: `/proc/${holder.pid}/root${folder}`, remove }
}

async function isMounted(holder: ChildProcess): Promise<boolean> {
  const said = await Promise.race([
    once(holder.stdout as NodeJS.ReadableStream, 'data'),
    once(holder, 'exit'),
    once(holder, 'error').catch((error: unknown) => [error]),
  ]).catch(() => [])
  return String(said[0]).includes('mounted')
}
