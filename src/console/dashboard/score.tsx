import type { JSX } from 'preact'

/** A score from 0 to 100, as a number and a bar. */
export function Score({ score }: { score: number | undefined }): JSX.Element {
  if (score === undefined) return <span class="badge danger">unreadable</span>
  const kind = score >= 80 ? 'good' : score >= 50 ? 'fair' : 'poor'
  return (
    <span class={`score ${kind}`}>
      <svg viewBox="0 0 100 8" class="bar" preserveAspectRatio="none" aria-hidden="true">
        <rect width="100" height="8" rx="4" class="track" />
        <rect width={Math.max(score, 2)} height="8" rx="4" class="fill" />
      </svg>
      <span class="number">{score}</span>
      <span class="hidden"> out of 100</span>
    </span>
  )
}
