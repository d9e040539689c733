import type { ComponentChildren, JSX } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

interface DialogProps {
  /** The id of its heading. */
  readonly title: string
  readonly children: ComponentChildren
  readonly class?: string
  /** Called when the user presses Escape. Left out: only the buttons close the dialog. */
  readonly leave?: (() => void) | undefined
}

/** A dialog that is open while it is rendered. When it is removed, the focus returns to where it was. */
export function Dialog({ title, children, leave, ...rest }: DialogProps): JSX.Element {
  const ref = useRef<HTMLDialogElement>(null)
  const isGone = useRef(false)
  useLayoutEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    return () => {
      isGone.current = true
      dialog?.close()
    }
  }, [])
  return (
    <dialog
      {...rest}
      ref={ref}
      aria-labelledby={title}
      onCancel={(event) => {
        event.preventDefault()
        leave?.()
      }}
      onClose={() => {
        // The browser may close the dialog without `cancel`.
        if (!isGone.current) leave?.()
      }}
      onKeyDown={(event) => {
        // On the second Escape, a browser closes a dialog even if `cancel` is prevented.
        if (event.key === 'Escape' && leave === undefined) event.preventDefault()
      }}
    >
      {children}
    </dialog>
  )
}
