import { textOf, type Invocation } from './command.ts'
import { quoted } from './exchange.ts'

/** Options that name the store and contain no secret. A password in an option is refused earlier. */
const OF_STORE = ['store', 'redis', 'redis-url-file', 'prefix', 'vault-key-file'] as const

/** A command to run next, as the user would type it: through npx, with the store options of this command. */
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
