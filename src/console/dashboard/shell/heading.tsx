import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

let first = true

/** The heading of a page. It receives the focus when the page opens, so that a screen reader announces the page. */
export function Heading({ children, title }: { children: ComponentChildren; title?: string }): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    const name = title ?? heading.current?.textContent ?? ''
    document.title = `${name} · Portcullis console`
    if (!first) heading.current?.focus()
    first = false
  }, [title])
  return (
    <h1 tabIndex={-1} ref={heading}>
      {children}
    </h1>
  )
}
