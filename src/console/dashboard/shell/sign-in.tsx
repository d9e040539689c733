import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { continueSession, session, signIn, signInUrl } from '../api.ts'
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
      {signInUrl.value === undefined ? <TokenForm class="card" /> : <AppSignIn class="card" />}
    </main>
  )
}

/** Covers the page of a user whose session has ended. The page is kept. */
export function SignInAgain(): JSX.Element {
  return (
    <Dialog title="again-title" class="opaque">
      <h2 id="again-title">Your session has ended</h2>
      <p>Sign in to continue. What you have typed on this page is kept.</p>
      {signInUrl.value === undefined && session.value?.byApp !== true ? <TokenForm /> : <AppSignIn />}
    </Dialog>
  )
}

/** For users who sign in to the app that serves the console. */
function AppSignIn(look: { class?: string }): JSX.Element {
  const refusal = useSignal('')
  const resume = async (): Promise<void> => {
    refusal.value = ''
    try {
      if (!(await continueSession())) refusal.value = 'You are not signed in to the application.'
    } catch (error) {
      refusal.value = wordsOf(error)
    }
  }
  return (
    <div {...look}>
      <p>Sign in to the application that this console belongs to, then continue here.</p>
      {refusal.value !== '' && (
        <p class="note refused" role="alert">
          {refusal.value}
        </p>
      )}
      <div class="buttons">
        {signInUrl.value !== undefined && (
          <a class="button" href={signInUrl.value} target="_blank" rel="noreferrer">
            Sign in (opens a new tab)
          </a>
        )}
        <button type="button" class="main" onClick={() => void resume()}>
          Continue
        </button>
      </div>
    </div>
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
