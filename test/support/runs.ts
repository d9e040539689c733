/**
 * How often a property is tried: all of `full` in the project `deep`, which also runs every test file that imports this, and
 * a tenth in the project `unit`, which a person waits for.
 */
export function runs(full: number): number {
  return (globalThis as { DEEP?: boolean }).DEEP === true ? full : Math.ceil(full / 10)
}
