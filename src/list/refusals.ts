import { PolicyError, type PolicyIssue } from '../errors.ts'
import { isRefused, type ListEntry } from './entry.ts'

const MOST = 100

/** Collects the reasons why parts of a text are refused. Throws after a hundred. */
export class Refusals {
  readonly #issues: PolicyIssue[] = []

  add(issue: PolicyIssue): void {
    this.#issues.push(issue)
    if (this.#issues.length === MOST) this.end()
  }

  /** Whether the result is an entry. If not, records the reasons for this line. */
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

  /** Throws if anything was refused. */
  end(): void {
    if (this.#issues.length > 0) throw new PolicyError(this.#issues, 'list')
  }
}
