import type { ComponentChildren, JSX } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

interface DialogProps {
  /** The id of its heading. */
  readonly title: string
  readonly children: ComponentChildren
  readonly class?: string
  /** What to do when somebody leaves by Escape. Left out: nothing but its buttons leads out. */
  readonly leave?: (() => void) | undefined
}

/** A dialog that is open for as long as it is there. When it goes, the focus returns to where it was. */
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
        // A browser may close without asking.
        if (!isGone.current) leave?.()
      }}
      onKeyDown={(event) => {
        // It does so at the second Escape, whatever `cancel` says.
        if (event.key === 'Escape' && leave === undefined) event.preventDefault()
      }}
    >
      {children}
    </dialog>
  )
}
