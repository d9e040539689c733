import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { signIn } from '../api.ts'
import { message, wordsOf } from '../message.ts'
import { Dialog } from './dialog.tsx'
import { Heading } from './heading.tsx'

export function SignIn(): JSX.Element {
  return (
    <main class="page narrow">
      <Heading>Sign in</Heading>
      {!isSecureContext && (
        <p class="note refused">
          The browser cannot keep you signed in on this address. Open the console over HTTPS, or at localhost.
        </p>
      )}
      <TokenForm class="card" />
    </main>
  )
}

/** Covers the page of a user whose session has ended. The page is kept. */
export function SignInAgain(): JSX.Element {
  return (
    <Dialog title="again-title" class="opaque">
      <h2 id="again-title">Your session has ended</h2>
      <p>Sign in to continue. What you have typed on this page is kept.</p>
      <TokenForm />
    </Dialog>
  )
}

function TokenForm(look: { class?: string }): JSX.Element {
  const token = useSignal('')
  const refusal = useSignal('')
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    refusal.value = ''
    try {
      await signIn(token.value.trim())
      message.value = undefined
    } catch (error) {
      refusal.value = wordsOf(error)
    }
  }
  return (
    <form {...look} onSubmit={(event) => void submit(event)}>
      <label for="token">Token</label>
      <input
        id="token"
        type="password"
        autocomplete="off"
        spellcheck={false}
        required
        value={token.value}
        onInput={(event) => {
          token.value = event.currentTarget.value
        }}
        aria-describedby="token-help"
        aria-invalid={refusal.value !== ''}
      />
      <p id="token-help" class="quiet">
        The server prints it when it starts. In production, ask whoever runs the server.
      </p>
      {refusal.value !== '' && (
        <p class="note refused" role="alert">
          {refusal.value}
        </p>
      )}
      <button type="submit" class="main">
        Sign in
      </button>
    </form>
  )
}
