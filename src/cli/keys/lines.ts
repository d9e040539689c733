import type { ListedKey } from '../../store/contract.ts'
import { columns } from '../output.ts'

/** Keys for people, one per line. */
export function keyLines(keys: readonly ListedKey[]): string[] {
  return columns(
    keys.map(({ id, algorithm, notBefore, notAfter, lastUsed }) => [
      id,
      algorithm,
      notBefore === undefined ? '' : `from ${notBefore}`,
      notAfter === undefined ? '' : `until ${notAfter}`,
      lastUsed === undefined ? 'never used' : `used ${lastUsed}`,
    ]),
  )
}
