import type { JSX } from 'preact'

/** A sentence with the names in backticks formatted as code. */
export function Prose({ text }: { text: string }): JSX.Element {
  const parts = text.split('`')
  // An unpaired backtick was typed by somebody, so nothing is formatted.
  if (parts.length % 2 === 0) return <>{text}</>
  return <>{parts.map((part, index) => (index % 2 === 0 ? part : <code key={index}>{part}</code>))}</>
}
