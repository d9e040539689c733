import { textOf, type Invocation } from './command.ts'
import { quoted } from './exchange.ts'

/** Options that name the store, without what is secret: an option that holds a password is refused before. */
const OF_STORE = ['store', 'redis', 'redis-url-file', 'prefix', 'vault-key-file'] as const

/** A command to run next, as it is typed: through npx, and with the options that named the store of this one. */
export function nextCommand({ values }: Invocation, words: string): string {
  const options = OF_STORE.flatMap((name) => {
    const value = textOf(values, name)
    return value === undefined ? [] : [`--${name} ${shellWord(value)}`]
  })
  return ['npx portcullis', words, ...options].join(' ')
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : quoted(word)
}
