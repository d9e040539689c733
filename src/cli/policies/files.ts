import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isPortcullisError, PolicyError, type PolicyIssue } from '../../errors.ts'
import { parsePolicy } from '../../policy/parse.ts'
import { CommandUsageError, type Invocation } from '../command.ts'
import { readJson, unreadableFile } from '../input.ts'

/** A policy that was read from a file and checked. */
export interface PolicyFile {
  readonly appId: string
  readonly path: string
  readonly document: unknown
}

/** The file that keeps the revisions of the policies in a directory. No app id gives this file name. */
export const REVISIONS_FILE = '.portcullis-revisions'

/** The file name of an app. Some systems do not allow a colon, so it becomes `=`, which no app id contains. */
export function fileNameOf(appId: string): string {
  return `${appId.replaceAll(':', '=')}.json`
}

/**
 * Reads and checks the policies in files, and in the directories among the paths.
 *
 * @throws PolicyError with every issue of every file; CommandUsageError for two files of one app
 */
export async function readPolicyFiles(
  invocation: Invocation,
  paths: readonly string[],
): Promise<readonly PolicyFile[]> {
  const files = (await Promise.all(paths.map((path) => filesAt(invocation, path)))).flat()
  const read: PolicyFile[] = []
  const issues: PolicyIssue[] = []
  for (const path of files) {
    const document = await readJson(invocation, path)
    try {
      const { appId } = parsePolicy(document)
      read.push({ appId, path, document })
    } catch (error) {
      if (!isPortcullisError(error) || error.code !== 'POLICY_INVALID') throw error
      for (const issue of (error as PolicyError).issues)
        issues.push({ ...issue, path: issue.path === '' ? path : `${path}: ${issue.path}` })
    }
  }
  if (issues.length > 0) throw new PolicyError(issues)
  const byApp = new Map<string, string>()
  for (const { appId, path } of read) {
    const other = byApp.get(appId)
    if (other !== undefined)
      throw new CommandUsageError(
        `\`${other}\` and \`${path}\` are both policies for the app \`${appId}\`: keep one of them`,
      )
    byApp.set(appId, path)
  }
  return read
}

async function filesAt({ directory }: Invocation, path: string): Promise<readonly string[]> {
  if (path === '-') return [path]
  try {
    if (!(await stat(resolve(directory, path))).isDirectory()) return [path]
    const names = await readdir(resolve(directory, path))
    return names
      .filter((name) => name.endsWith('.json'))
      .toSorted()
      .map((name) => join(path, name))
  } catch (error) {
    throw unreadableFile(path, error)
  }
}
