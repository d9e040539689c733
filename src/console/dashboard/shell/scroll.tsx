import type { ComponentChildren, JSX } from 'preact'

/** Wraps a wide element such as a table, so that it scrolls on a narrow screen, also with the keyboard. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      {children}
    </div>
  )
}
