import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useRef } from 'preact/hooks'
import type { AppView, GuardName, Policy, TrialView, TriedRequest } from '../../contract.ts'
import { appPath, ask, may } from '../api.ts'
import { tell, wordsOf } from '../message.ts'
import { edit } from '../open-app.ts'
import { Prose } from '../prose.tsx'
import { Scroll } from '../shell/scroll.tsx'
import { GUARDS, kindOf, titleOf } from '../words.ts'
import { hasSignature, headersOf, readRequest, returnUrlIn } from './written-request.ts'

interface Form {
  readonly method: string
  readonly url: string
  readonly headers: string
  readonly address: string
  readonly returnUrl: string
  readonly country: string
  readonly here: string
  readonly body: string
}

/** The request that was judged, with the verdict. The form may have changed since. */
interface Tried {
  readonly request: TriedRequest
  readonly view: TrialView
}

const EMPTY: Form = {
  method: 'GET',
  url: '',
  headers: '',
  address: '',
  returnUrl: '',
  country: '',
  here: '',
  body: '',
}

/** Shows what the guards would decide about a request, with the policy in force and with the draft. The request is not sent. */
export function TryIt({ app }: { app: AppView }): JSX.Element {
  const isSigned = useSignal(false)
  const form = useSignal<Form>({ ...EMPTY, url: `${location.origin}/` })
  const tried = useSignal<Tried | undefined>(undefined)
  const refusal = useSignal('')
  const set = (members: Partial<Form>): void => {
    form.value = { ...form.value, ...members }
  }
  /** Fills the form from a pasted request. It is signed only if it has a signature. */
  const take = (given: string): boolean => {
    const read = readRequest(given)
    if (read === undefined) return false
    set({ ...read, returnUrl: returnUrlIn(read.body, read.url) ?? '' })
    isSigned.value = false
    return true
  }
  const carriesSignature = hasSignature(form.value.headers)
  const judge = async (event: Event): Promise<void> => {
    event.preventDefault()
    refusal.value = ''
    const { repeated } = headersOf(form.value.headers)
    if (repeated !== undefined) {
      tried.value = undefined
      refusal.value = `Two lines have the name “${repeated}”. A request can be tried with one value for each header.`
      return
    }
    const request = requestOf(form.value, isSigned.value)
    try {
      const view = await ask<TrialView>('POST', appPath(app.appId, '/trial'), { body: request })
      tried.value = { request, view }
    } catch (error) {
      tried.value = undefined
      refusal.value = wordsOf(error)
    }
  }
  const text = (name: keyof Form, title: string, example: string): JSX.Element => (
    <div>
      <label for={`try-${name}`}>{title}</label>
      <input
        id={`try-${name}`}
        class="mono"
        spellcheck={false}
        placeholder={`e.g. ${example}`}
        value={form.value[name]}
        onInput={(event) => set({ [name]: event.currentTarget.value })}
      />
    </div>
  )
  return (
    <>
      <form class="card" onSubmit={(event) => void judge(event)}>
        <h2>Try a request</h2>
        <p class="quiet">
          Nothing is sent. The guards decide as they would for a real request, without using up a nonce. You
          can paste a curl command or a whole HTTP request into the URL field.
        </p>
        <div class="row method">
          <label>
            <span>Method</span>
            <input
              class="mono"
              value={form.value.method}
              onInput={(event) => set({ method: event.currentTarget.value.toUpperCase() })}
            />
          </label>
          <label class="grow">
            <span>URL or curl command</span>
            <input
              class="mono"
              required
              spellcheck={false}
              value={form.value.url}
              onInput={(event) => {
                const given = event.currentTarget.value
                if (!take(given)) set({ url: given })
              }}
              onPaste={(event) => {
                // The field itself would remove the line breaks.
                if (take(event.clipboardData?.getData('text/plain') ?? '')) event.preventDefault()
              }}
            />
          </label>
        </div>
        <div class="two">
          {text('address', 'Client address', '192.0.2.1')}
          {text('returnUrl', 'Return URL', 'https://shop.example/callback/')}
          {text('country', 'Country of citizenship', 'FR')}
          {text('here', 'Server location', 'london')}
        </div>
        <label for="try-headers">Headers, one per line</label>
        <textarea
          id="try-headers"
          class="mono"
          rows={3}
          spellcheck={false}
          placeholder="e.g. origin: https://shop.example"
          value={form.value.headers}
          onInput={(event) => set({ headers: event.currentTarget.value })}
        />
        <label class="check">
          <input
            type="checkbox"
            checked={isSigned.value || carriesSignature}
            disabled={carriesSignature}
            onChange={(event) => {
              isSigned.value = event.currentTarget.checked
            }}
          />
          {carriesSignature
            ? 'Signed: the signature in the headers is checked'
            : "Signed by one of the app's servers"}
        </label>
        <details class="more" open={form.value.body !== ''}>
          <summary>Body</summary>
          <label for="try-body" class="hidden">
            Body
          </label>
          <textarea
            id="try-body"
            class="mono"
            rows={3}
            spellcheck={false}
            value={form.value.body}
            onInput={(event) => {
              const body = event.currentTarget.value
              const returnUrl = returnUrlIn(body, '')
              set({ body, ...(returnUrl !== undefined && { returnUrl }) })
            }}
          />
        </details>
        {refusal.value !== '' && (
          <p class="note refused" role="alert">
            {refusal.value}
          </p>
        )}
        <div class="buttons">
          <button type="submit" class="main">
            Check this request
          </button>
        </div>
      </form>
      {tried.value && <Verdict view={tried.value.view} app={app} />}
      {tried.value && may('narrow', 'widen') && (
        <Expect
          request={tried.value.request}
          passes={(tried.value.view.draft ?? tried.value.view.inForce).passes}
        />
      )}
    </>
  )
}

function requestOf({ headers, ...form }: Form, isSigned: boolean): TriedRequest {
  const said = Object.entries(form).filter(([, value]) => value !== '')
  const { headers: lines } = headersOf(headers)
  return {
    ...(Object.fromEntries(said) as unknown as TriedRequest),
    ...(Object.keys(lines).length > 0 && { headers: lines }),
    // A signature in the headers is judged unchanged.
    ...(isSigned &&
      !Object.keys(lines).some((name) => name.toLowerCase() === 'signature') && { signature: {} }),
  }
}

/** What a guard needs to be called, and the field for it. */
const NEEDS: Readonly<Partial<Record<GuardName, string>>> = {
  returnUrlGuard: 'No return URL is given. If the request has one, fill in “Return URL”.',
  regionPin: 'No server location is given. Fill in “Server location” and “Country of citizenship”.',
}

/** The guards that were not called, although they may refuse the request when it is sent. */
const leftOut = ({ inForce }: TrialView): readonly GuardName[] =>
  GUARDS.map(({ name }) => name).filter((name) => inForce.decisions.every(({ guard }) => guard !== name))

function Verdict({ view, app }: { view: TrialView; app: AppView }): JSX.Element {
  const { inForce, draft } = view
  const unasked = leftOut(view)
  const isWhole = unasked.every((name) => app.policy[name]?.mode === 'off')
  return (
    <section class="card" aria-labelledby="verdict-title" aria-live="polite">
      <h2 id="verdict-title">
        {!inForce.passes
          ? 'The request is refused'
          : isWhole
            ? 'The request passes'
            : 'The request passes the guards that were checked'}
        {draft &&
          (draft.passes === inForce.passes
            ? ', also with the draft'
            : draft.passes
              ? '; with the draft it would pass'
              : '; with the draft it would be refused')}
      </h2>
      <Scroll label="Decisions">
        <table>
          <thead>
            <tr>
              <th scope="col">Protection</th>
              <th scope="col">In force</th>
              {draft && <th scope="col">Draft</th>}
            </tr>
          </thead>
          <tbody>
            {inForce.decisions.map((decision, index) => (
              <tr key={decision.guard}>
                <th scope="row">{titleOf(decision.guard)}</th>
                <Decided decision={decision} />
                {draft && (
                  <Decided
                    decision={draft.decisions[index] ?? decision}
                    isOther={differs(decision, draft.decisions[index])}
                  />
                )}
              </tr>
            ))}
            {unasked.map((name) => (
              <tr key={name}>
                <th scope="row">{titleOf(name)}</th>
                <NotAsked name={name} policy={app.policy} />
                {draft && <NotAsked name={name} policy={app.draft?.policy ?? app.policy} />}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {(draft ?? inForce).comparisons.map(({ guard, input, canonical, problem, nearest }) => (
        <p key={input} class="quiet">
          {titleOf(guard)}: the {input} is <code>{canonical ?? problem}</code>
          {nearest[0] && (
            <>
              ; the nearest entry is <code>{wordsOfEntry(nearest[0].entry)}</code>
            </>
          )}
        </p>
      ))}
      <p class="quiet">Whether a nonce was used before is not checked.</p>
    </section>
  )
}

function NotAsked({ name, policy }: { name: GuardName; policy: Policy }): JSX.Element {
  const isOff = policy[name]?.mode === 'off'
  return (
    <td>
      <span class="badge first">{isOff ? 'off' : 'not checked'}</span>
      {!isOff && <span class="quiet block">{NEEDS[name]}</span>}
    </td>
  )
}

const wordsOfEntry = (entry: string | { readonly exact: string }): string =>
  typeof entry === 'string' ? entry : entry.exact

type Decided = TrialView['inForce']['decisions'][number]

const differs = (one: Decided, other: Decided | undefined): boolean =>
  other !== undefined && (one.code !== other.code || one.mode !== other.mode)

/** The detail of the decision if the field is empty or has no valid address. */
const NO_ADDRESS = 'the request has no readable client address'

function Decided({ decision, isOther = false }: { decision: Decided; isOther?: boolean }): JSX.Element {
  const { effect, code, mode, detail } = decision
  const words =
    effect === 'allow'
      ? mode === 'off'
        ? 'off'
        : 'passes'
      : mode === 'enforce'
        ? 'refused'
        : 'would be refused'
  return (
    <td class={isOther ? 'other' : ''}>
      <span class={`badge first ${kindOf(decision)}`}>{words}</span>
      {effect === 'deny' && <code class="block">{code}</code>}
      <span class="quiet block">
        <Prose text={detail} />
      </span>
      {detail === NO_ADDRESS && (
        <span class="quiet block">Fill in “Client address”: a request that is sent always has one.</span>
      )}
    </td>
  )
}

/** Adds the request to the expectations of the policy. A change that breaks it cannot be published. */
function Expect({ request, passes }: { request: TriedRequest; passes: boolean }): JSX.Element {
  const name = useSignal('')
  const isKeeping = useRef(false)
  const keep = async (event: Event): Promise<void> => {
    event.preventDefault()
    // A second click would add it twice.
    if (isKeeping.current) return
    isKeeping.current = true
    const expectation = { name: name.value.trim(), request, effect: passes ? 'allow' : 'deny' } as const
    const taken = await edit((policy) => ({ ...policy, expect: [...(policy.expect ?? []), expectation] }))
    isKeeping.current = false
    if (!taken) return
    name.value = ''
    tell('Added to the draft. A policy that breaks this expectation cannot be published.')
  }
  return (
    <form class="card" onSubmit={(event) => void keep(event)}>
      <h2>Keep as an expectation</h2>
      <label for="expect-name">Why this request must {passes ? 'pass' : 'be refused'}</label>
      <div class="row">
        <input
          id="expect-name"
          required
          maxLength={200}
          value={name.value}
          onInput={(event) => {
            name.value = event.currentTarget.value
          }}
        />
        <button type="submit">Add to draft</button>
      </div>
    </form>
  )
}
