import type { PolicyChange } from '../../policy/diff.ts'
import { paint, plain } from '../output.ts'
import type { Surroundings } from '../command.ts'

/** Changes for people: removed and added values, one per line. */
export function changeLines(surroundings: Surroundings, changes: readonly PolicyChange[]): string[] {
  return changes.flatMap(({ path, removed, added }) => [
    ...removed.map((value) => paint(surroundings, 'red', plain(`- ${path}: ${textOfValue(value)}`))),
    ...added.map((value) => paint(surroundings, 'green', plain(`+ ${path}: ${textOfValue(value)}`))),
  ])
}

function textOfValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
