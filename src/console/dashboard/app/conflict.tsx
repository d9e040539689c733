import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { editConflict, settle } from '../open-app.ts'
import { Changes } from './changes.tsx'

/** Two people have changed the same place. Shows both changes, and asks which one to keep. */
export function ConflictDialog(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const conflict = editConflict.value
  useEffect(() => {
    if (conflict !== undefined) dialog.current?.showModal()
    else dialog.current?.close()
  }, [conflict])
  return (
    <dialog ref={dialog} aria-labelledby="conflict-title" onCancel={() => void settle('theirs')}>
      {conflict && (
        <>
          <h2 id="conflict-title">{conflict.current?.author ?? 'Someone else'} changed the same setting</h2>
          <p>
            You both changed {conflict.three.conflicts.join(', ') || 'the draft'}. Which change do you want to
            keep?
          </p>
          <div class="two">
            <section>
              <h3>Theirs</h3>
              <Changes changes={conflict.three.theirChanges} />
            </section>
            <section>
              <h3>Yours</h3>
              <Changes changes={conflict.three.yourChanges} />
            </section>
          </div>
          <div class="buttons">
            <button type="button" onClick={() => void settle('theirs')}>
              Keep theirs
            </button>
            <button type="button" class="main" onClick={() => void settle('yours')}>
              Keep mine
            </button>
          </div>
        </>
      )}
    </dialog>
  )
}
