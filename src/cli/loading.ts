import type { CommandRow } from './command.ts'

/** Loads a command that works with a store. */
export function managing(name: keyof typeof import('./managing.ts')): CommandRow['load'] {
  return async () => (await import('./managing.ts'))[name]
}
