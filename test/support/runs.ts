/**
 * The number of runs of a property: `full` in the project `deep`, which also runs every test file that imports this,
 * and a tenth in the project `unit`, which must be fast.
 */
export function runs(full: number): number {
  return (globalThis as { DEEP?: boolean }).DEEP === true ? full : Math.ceil(full / 10)
}
