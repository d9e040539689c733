import type { JSX } from 'preact'

/** A sentence whose names stand in backticks, with the names as code. */
export function Prose({ text }: { text: string }): JSX.Element {
  const parts = text.split('`')
  // A backtick without its partner is part of what somebody wrote.
  if (parts.length % 2 === 0) return <>{text}</>
  return <>{parts.map((part, index) => (index % 2 === 0 ? part : <code key={index}>{part}</code>))}</>
}
