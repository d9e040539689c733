import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { editConflict, settle } from '../open-app.ts'
import { Changes } from './changes.tsx'

/** Two people have changed one place: shows both, and asks which counts. */
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
          <h2 id="conflict-title">{conflict.current?.author ?? 'Somebody'} has changed the same place</h2>
          <p>Both changed {conflict.three.conflicts.join(', ') || 'the draft'}. Which one counts?</p>
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
              Put mine in its place
            </button>
          </div>
        </>
      )}
    </dialog>
  )
}
