import type { JSX } from 'preact'
import { editConflict, isDeciding, settle } from '../open-app.ts'
import { Dialog } from '../shell/dialog.tsx'
import { placeOf } from '../words.ts'
import { Changes } from './changes.tsx'

/** Two people have changed the same place. Shows both changes, and asks which one to keep. */
export function ConflictDialog(): JSX.Element | null {
  const conflict = editConflict.value
  if (conflict === undefined || !isDeciding.value) return null
  const leave = (): void => {
    isDeciding.value = false
  }
  return (
    <Dialog title="conflict-title" leave={leave}>
      <h2 id="conflict-title">{conflict.current?.author ?? 'Someone else'} changed the same setting</h2>
      <p>
        You both changed {conflict.three.conflicts.map(placeOf).join(', ') || 'the draft'}. Which change do
        you want to keep?
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
        <button type="button" onClick={leave}>
          Decide later
        </button>
        <button type="button" onClick={() => void settle('theirs')}>
          Keep theirs
        </button>
        <button type="button" class="main" onClick={() => void settle('yours')}>
          Keep mine
        </button>
      </div>
    </Dialog>
  )
}
