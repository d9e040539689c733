import type { JSX } from 'preact'
import { message } from '../message.ts'
import { Prose } from '../prose.tsx'

/** Shows what was done, and announces it to screen readers. */
export function MessageBar(): JSX.Element {
  const shown = message.value
  return (
    <div class="messages" role={shown?.kind === 'refused' ? 'alert' : 'status'}>
      {shown && (
        <div class={`message ${shown.kind}`}>
          <span>
            <Prose text={shown.text} />
          </span>
          {shown.action && (
            <button
              type="button"
              class="plain"
              onClick={() => {
                message.value = undefined
                shown.action?.run()
              }}
            >
              {shown.action.label}
            </button>
          )}
          <button
            type="button"
            class="plain close"
            aria-label="Close this message"
            onClick={() => {
              message.value = undefined
            }}
          >
            ×
          </button>
        </div>
      )}
    </div>
  )
}
