/** Passwords that zxcvbn estimates to be guessed in fewer than 10^10 attempts are refused. */
const EASY = 10

/**
 * How many characters zxcvbn checks. Its work grows with the square of the length, and this many are enough for a
 * strong password.
 */
const LOOKED_AT = 48

let estimator: Promise<(password: string, own: string[]) => number> | undefined

/** Loads zxcvbn when the first password is chosen, because its word lists are large. */
async function loadEstimator(): Promise<(password: string, own: string[]) => number> {
  const [{ ZxcvbnFactory }, { dictionary, adjacencyGraphs }] = await Promise.all([
    import('@zxcvbn-ts/core'),
    import('@zxcvbn-ts/language-common'),
  ])
  const zxcvbn = new ZxcvbnFactory({ dictionary: { ...dictionary }, graphs: adjacencyGraphs })
  return (password, own) => zxcvbn.check(password.slice(0, LOOKED_AT), own).guessesLog10
}

/**
 * The problem with a new password, apart from its length; `undefined` if it is strong enough. `own`: address and names.
 */
export async function weaknessOf(password: string, own: readonly string[]): Promise<string | undefined> {
  const lower = password.toLowerCase()
  const words = own.flatMap((text) => [text, text.split('@')[0] ?? '']).map((text) => text.toLowerCase())
  const [address = ''] = words
  if (address !== '' && lower.includes(address)) return 'The password must not contain your email address.'
  estimator ??= loadEstimator()
  const guesses = (await estimator)(password, words)
  return guesses < EASY
    ? 'This password is easy to guess: it is a common password, or follows a common pattern. A whole sentence works well.'
    : undefined
}
