import { signal, useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { appPath, ask, Refused } from '../api.ts'
import { tellRefusal } from '../message.ts'
import { Dialog } from '../shell/dialog.tsx'

/** The question for the reason when somebody breaks the glass. */
const asked = signal<((reason: string | undefined) => void) | undefined>(undefined)

/**
 * Restores the policy of an earlier revision. Asks for a reason if the user has only the right to break the glass.
 *
 * @returns the new revision; `undefined` if it was refused, in which case a message says why.
 */
export async function rollBackTo(appId: string, to: number, replaced: number): Promise<number | undefined> {
  const send = (note?: string): Promise<{ revision: number }> =>
    ask('POST', appPath(appId, '/rollback'), { body: { to, ...(note && { note }) }, revision: replaced })
  try {
    try {
      return (await send()).revision
    } catch (error) {
      if (!(error instanceof Refused) || error.problem.code !== 'PURPOSE_MISSING') throw error
      const reason = await new Promise<string | undefined>((resolve) => {
        asked.value = resolve
      })
      asked.value = undefined
      return reason === undefined ? undefined : (await send(reason)).revision
    }
  } catch (error) {
    tellRefusal(error)
    return undefined
  }
}

export function ReasonDialog(): JSX.Element | null {
  return asked.value === undefined ? null : <Asking answer={asked.value} />
}

function Asking({ answer }: { answer(reason: string | undefined): void }): JSX.Element {
  const reason = useSignal('')
  return (
    <Dialog title="reason-title" leave={() => answer(undefined)}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          answer(reason.value.trim())
        }}
      >
        <h2 id="reason-title">Break the glass?</h2>
        <p>
          You do not have the right to do this. In an emergency you can do it anyway; your reason is recorded.
        </p>
        <label for="reason">Reason, at least 20 characters</label>
        <textarea
          id="reason"
          rows={2}
          required
          minLength={20}
          maxLength={1000}
          value={reason.value}
          onInput={(event) => {
            reason.value = event.currentTarget.value
          }}
        />
        <div class="buttons">
          <button type="button" onClick={() => answer(undefined)}>
            Cancel
          </button>
          <button type="submit" class="danger main">
            Break the glass
          </button>
        </div>
      </form>
    </Dialog>
  )
}
