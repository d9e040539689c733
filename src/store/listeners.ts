import type { StoreListener } from './contract.ts'

/** Calls listeners of changes. A listener that throws neither stops the others nor fails the write. */
export interface Listeners {
  readonly size: number
  add(listener: StoreListener): void
  delete(listener: StoreListener): void
  clear(): void
  tell(call: (listener: StoreListener) => void): void
}

export function createListeners(): Listeners {
  const listeners = new Set<StoreListener>()
  return {
    get size() {
      return listeners.size
    },
    add: (listener) => void listeners.add(listener),
    delete: (listener) => void listeners.delete(listener),
    clear: () => listeners.clear(),
    tell(call) {
      for (const listener of listeners) {
        try {
          call(listener)
        } catch (error) {
          // Rethrown outside the loop, so that a bug in a listener becomes an uncaught exception.
          queueMicrotask(() => {
            throw error
          })
        }
      }
    },
  }
}
