import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { signIn } from '../api.ts'
import { wordsOf } from '../message.ts'
import { Heading } from './heading.tsx'

export function SignIn(): JSX.Element {
  const token = useSignal('')
  const refusal = useSignal('')
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    refusal.value = ''
    await signIn(token.value.trim()).catch((error: unknown) => {
      refusal.value = wordsOf(error)
    })
  }
  return (
    <main class="page narrow">
      <Heading>Sign in</Heading>
      {!isSecureContext && (
        <p class="note refused">
          Your browser keeps no session on this address: open the console over HTTPS, or on this machine
          itself.
        </p>
      )}
      <form class="card" onSubmit={(event) => void submit(event)}>
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
          It was printed where the server was started, or comes from the person who runs it.
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
    </main>
  )
}
