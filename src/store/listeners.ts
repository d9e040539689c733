import type { StoreListener } from './contract.ts'

/** The listeners that are told of changes. What one of them throws neither stops the others nor fails the write that they hear of. */
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
          // A bug of the listener's own is not swallowed: it becomes the uncaught exception that it is.
          queueMicrotask(() => {
            throw error
          })
        }
      }
    },
  }
}
