import type { ComponentChildren, JSX } from 'preact'

/** Something wide, such as a table, that scrolls by itself on a narrow screen, also by the keyboard. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      {children}
    </div>
  )
}
