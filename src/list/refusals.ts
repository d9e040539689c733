import { PolicyError, type PolicyIssue } from '../errors.ts'
import { isRefused, type ListEntry } from './entry.ts'

const MOST = 100

/** What was refused so far of a text. Throws what it has when it has a hundred. */
export class Refusals {
  readonly #issues: PolicyIssue[] = []

  add(issue: PolicyIssue): void {
    this.#issues.push(issue)
    if (this.#issues.length === MOST) this.end()
  }

  /** Whether this is an entry. If not, the reasons are kept, as those of a line. */
  isEntry(result: ListEntry | readonly PolicyIssue[], line: number): result is ListEntry {
    if (!isRefused(result)) return true
    for (const { path, message, corrected } of result) {
      this.addLine(line, path === '' || path === 'range' ? message : `${path} ${message}`, corrected)
    }
    return false
  }

  addLine(line: number, message: string, corrected?: string): void {
    this.add({ path: `line ${line}`, message, corrected })
  }

  /** Throws when anything was refused. */
  end(): void {
    if (this.#issues.length > 0) throw new PolicyError(this.#issues, 'list')
  }
}
