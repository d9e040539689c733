import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type {
  AppView,
  GuardName,
  Policy,
  GuardTraffic,
  Mode,
  PolicyFinding,
  TrafficView,
} from '../../contract.ts'
import { appPath, ask, may, session } from '../api.ts'
import { tellRefusal } from '../message.ts'
import { edit, editSection } from '../open-app.ts'
import { Prose } from '../prose.tsx'
import { count, GUARDS, MODES, OLDER_LEFT_OUT, timeOf, type GuardWords } from '../words.ts'
import { ListEditor } from './list-editor.tsx'
import { Settings } from './settings.tsx'

export function Protections({ app }: { app: AppView }): JSX.Element {
  const traffic = useSignal<TrafficView | undefined>(undefined)
  useEffect(() => {
    if (session.value?.offers.events !== true) return
    ask<TrafficView>('GET', appPath(app.appId, '/traffic')).then((view) => {
      traffic.value = view
    }, tellRefusal)
  }, [app.appId, app.revision])
  const { findings, moreFindings } = app.draft ?? app
  return (
    <section aria-labelledby="protections-title">
      <h2 id="protections-title" class="section-title">
        Six protections
      </h2>
      {GUARDS.map((guard) => (
        <Protection
          key={guard.name}
          app={app}
          guard={guard}
          traffic={traffic.value?.guards.find((one) => one.guard === guard.name)}
          isComplete={traffic.value?.isComplete !== false}
          findings={findings.filter(({ path }) => path.split(/[.[]/)[0] === guard.name)}
          more={moreFindings[guard.name] ?? 0}
        />
      ))}
    </section>
  )
}

function Protection({
  app,
  guard,
  traffic,
  isComplete,
  findings,
  more,
}: {
  app: AppView
  guard: GuardWords
  traffic: GuardTraffic | undefined
  isComplete: boolean
  findings: readonly PolicyFinding[]
  /** How many further findings there are. */
  more: number
}): JSX.Element {
  const { name, title, says } = guard
  const policy = app.draft?.policy ?? app.policy
  const mode = policy[name]?.mode
  const isEdited = app.draft?.changes.some(({ path }) => path.split('.')[0] === name) === true
  const canEdit = may('narrow', 'widen', 'break-glass')
  return (
    <article class="card protection" id={name} aria-labelledby={`${name}-title`}>
      <div class="card-head">
        <div>
          <h3 id={`${name}-title`}>
            {title}
            {isEdited && <span class="badge fair">edited</span>}
          </h3>
          <p class="quiet">{says}</p>
        </div>
        <ModeChoice name={name} title={title} mode={mode} canEdit={canEdit} />
      </div>
      {traffic && traffic.mode === app.policy[name]?.mode && (
        <Numbers traffic={traffic} isComplete={isComplete} />
      )}
      {mode === undefined && (
        <p class="note danger">Not set up. Wherever this guard is mounted, it refuses every request.</p>
      )}
      {mode !== undefined && <Members app={app} name={name} canEdit={canEdit} />}
      <Findings
        canEdit={canEdit}
        more={more}
        findings={findings.filter(({ code }) => code !== 'section-missing' && !code.startsWith('mode-'))}
      />
    </article>
  )
}

/** The counts that support the next step, or speak against it. */
function Numbers({
  traffic: { mode, since, judged, denied },
  isComplete,
}: {
  traffic: GuardTraffic
  isComplete: boolean
}): JSX.Element | null {
  if (mode === 'off') return null
  const refused = `${denied === 0 ? 'none' : denied.toLocaleString('en')} of ${count(judged, 'request')} since ${timeOf(since)}.`
  const [kind, words] =
    mode === 'enforce'
      ? ['', `Refused ${refused}`]
      : denied === 0
        ? ['good', `Would have refused ${refused} You can enforce it.`]
        : ['fair', `Would have refused ${refused} Look at them before you enforce it.`]
  return (
    <p class={`note ${kind}`}>
      {words}
      {!isComplete && ` ${OLDER_LEFT_OUT}`}
    </p>
  )
}

function ModeChoice({
  name,
  title,
  mode,
  canEdit,
}: {
  name: GuardName
  title: string
  mode: Mode | undefined
  canEdit: boolean
}): JSX.Element {
  const choices = useRef<HTMLFieldSetElement>(null)
  const choose = async (wanted: Mode): Promise<void> => {
    if (await edit((policy) => ({ ...policy, [name]: { ...policy[name], mode: wanted } }))) return
    // If the change was refused, the old mode stays selected.
    for (const radio of choices.current?.querySelectorAll('input') ?? []) radio.checked = radio.value === mode
  }
  return (
    <fieldset class="modes-choice" disabled={!canEdit} ref={choices}>
      <legend class="hidden">Mode of {title}</legend>
      {MODES.map((choice) => (
        <label key={choice.mode} class={choice.mode} title={choice.says}>
          <input
            type="radio"
            name={`mode-${name}`}
            value={choice.mode}
            checked={mode === choice.mode}
            onChange={() => void choose(choice.mode)}
          />
          <span>{choice.title}</span>
        </label>
      ))}
    </fieldset>
  )
}

function Members({
  app,
  name,
  canEdit,
}: {
  app: AppView
  name: GuardName
  canEdit: boolean
}): JSX.Element | null {
  const policy = app.draft?.policy ?? app.policy
  const list = (
    path: string,
    one: string,
    entries: readonly unknown[],
    { example, empty }: { readonly example: string; readonly empty: string },
  ): JSX.Element => (
    <ListEditor
      appId={app.appId}
      path={path}
      one={one}
      entries={entries}
      example={example}
      empty={empty}
      canEdit={canEdit}
      change={(entries) => {
        const member = path.split('.')[1] ?? ''
        return editSection(name, (section) => ({
          [member]: entries((section as Record<string, readonly unknown[]>)[member] ?? []),
        }))
      }}
    />
  )
  switch (name) {
    case 'ipWhitelist':
      return (
        <>
          {list('ipWhitelist.ranges', 'range', policy.ipWhitelist?.ranges ?? [], {
            example: '192.0.2.0/24',
            empty: emptyWords(policy, 'ipWhitelist', 'range'),
          })}
          <details class="more" open={(policy.ipWhitelist?.deny.length ?? 0) > 0}>
            <summary>Ranges that are always refused</summary>
            {list('ipWhitelist.deny', 'denied range', policy.ipWhitelist?.deny ?? [], {
              example: '192.0.2.128/25',
              empty: 'No denied ranges.',
            })}
          </details>
          <Settings policy={policy} name={name} canEdit={canEdit} />
        </>
      )
    case 'domainProtect':
      return (
        <>
          {list('domainProtect.domains', 'origin', policy.domainProtect?.domains ?? [], {
            example: 'https://shop.example',
            empty: emptyWords(policy, 'domainProtect', 'origin'),
          })}
          <Settings policy={policy} name={name} canEdit={canEdit} />
        </>
      )
    case 'returnUrlGuard':
      return list('returnUrlGuard.urls', 'return URL', policy.returnUrlGuard?.urls ?? [], {
        example: 'https://shop.example/callback/',
        empty: emptyWords(policy, 'returnUrlGuard', 'return URL'),
      })
    default:
      return <Settings policy={policy} name={name} canEdit={canEdit} />
  }
}

/** What an empty list means in the current mode of the protection. */
function emptyWords(policy: Policy, name: GuardName, one: string): string {
  const { mode } = policy[name] ?? {}
  if (mode === 'off') return `No ${one}s. Nothing is refused while this protection is off.`
  const would = mode === 'report' ? 'would be ' : 'is '
  if (name === 'domainProtect') return `No origins. No page ${would}admitted.`
  if (name === 'returnUrlGuard') return `No return URLs. Every return URL ${would}refused.`
  return (policy.ipWhitelist?.lists.length ?? 0) > 0
    ? `No ranges. Only addresses of the named lists ${mode === 'report' ? 'would be' : 'are'} admitted.`
    : `No ranges and no named lists. No address ${would}admitted.`
}

function Findings({
  findings,
  more,
  canEdit,
}: {
  findings: readonly PolicyFinding[]
  more: number
  canEdit: boolean
}): JSX.Element | null {
  if (findings.length === 0) return null
  const shown = findings.slice(0, 5)
  const left = findings.length - shown.length + more
  return (
    <ul class="findings">
      {shown.map(({ code, path, severity, message, corrected }) => (
        <li key={`${code} ${path}`} class={severity}>
          <span class={`badge ${severity}`}>{severity}</span> <code>{path.replace(/^\w+\./, '')}</code>{' '}
          <Prose text={message} />
          {canEdit && corrected !== undefined && MEMBER.test(path) && (
            <button
              type="button"
              class="plain"
              aria-label={`Use ${corrected} for ${path}`}
              onClick={() => void edit((policy) => corrects(policy, path, corrected))}
            >
              Use {corrected}
            </button>
          )}
        </li>
      ))}
      {left > 0 && <li class="quiet">and {left.toLocaleString('en')} more</li>}
    </ul>
  )
}

/** A path such as `serverOnly.maxAge` or `ipWhitelist.ranges[3]`. */
const MEMBER = /^(\w+)\.(\w+)(?:\[(\d+)\])?$/

/** The policy with the correction of a finding applied. The server checks it like every other edit. */
function corrects(policy: Policy, path: string, corrected: string): Policy {
  const [, section = '', member = '', index] = MEMBER.exec(path) ?? []
  const before = (policy as unknown as Readonly<Record<string, Readonly<Record<string, unknown>>>>)[section]
  const value = valueOf(corrected)
  const list = before?.[member]
  const after = index === undefined || !Array.isArray(list) ? value : list.with(Number(index), value)
  return { ...policy, [section]: { ...before, [member]: after } }
}

/** A correction is JSON, unless it is a plain string. */
function valueOf(corrected: string): unknown {
  try {
    return JSON.parse(corrected)
  } catch {
    return corrected
  }
}
