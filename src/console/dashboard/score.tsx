import type { JSX } from 'preact'

/** A score as a number and a bar, relative to the highest possible score of the app. */
export function Score({
  score,
  highest = 100,
}: {
  score: number | undefined
  highest: number | undefined
}): JSX.Element {
  if (score === undefined) return <span class="badge danger">unreadable</span>
  const share = Math.floor((score * 100) / highest)
  const kind = share >= 80 ? 'good' : share >= 50 ? 'fair' : 'poor'
  return (
    <span class={`score ${kind}`}>
      <span class="bar" style={{ '--share': `${Math.max(share, 2)}%` }} />
      <span class="number">{score}</span>
      {highest === 100 ? <span class="hidden"> out of 100</span> : <span class="quiet">of {highest}</span>}
    </span>
  )
}
