/** Guessed in fewer than ten thousand million tries, by the lists and patterns of zxcvbn. */
const EASY = 10

/** As much as is looked at: the work grows with the square of the length, and this is strong enough by itself. */
const LOOKED_AT = 48

let estimator: Promise<(password: string, own: string[]) => number> | undefined

/** The lists are large, and only loaded when somebody chooses a password. */
async function loadEstimator(): Promise<(password: string, own: string[]) => number> {
  const [{ ZxcvbnFactory }, { dictionary, adjacencyGraphs }] = await Promise.all([
    import('@zxcvbn-ts/core'),
    import('@zxcvbn-ts/language-common'),
  ])
  const zxcvbn = new ZxcvbnFactory({ dictionary: { ...dictionary }, graphs: adjacencyGraphs })
  return (password, own) => zxcvbn.check(password.slice(0, LOOKED_AT), own).guessesLog10
}

/** What is wrong with a new password besides its length; `undefined` when nothing is. `own`: address and names. */
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
