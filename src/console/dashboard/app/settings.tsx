import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { GuardName, Policy } from '../../contract.ts'
import { editSection } from '../open-app.ts'

interface SettingsProps {
  readonly policy: Policy
  readonly name: GuardName
  readonly canEdit: boolean
}

/** The members of a protection, except its lists of entries. */
export function Settings({ policy, name, canEdit }: SettingsProps): JSX.Element {
  const fields = fieldsOf(policy, name)
  return (
    <fieldset class="settings" disabled={!canEdit}>
      <legend class="hidden">Settings</legend>
      {fields.map((field) => (
        <Field key={field.member} name={name} {...field} />
      ))}
    </fieldset>
  )
}

type FieldOf = {
  readonly member: string
  readonly title: string
  readonly help?: string
} & (
  | { readonly kind: 'switch'; readonly value: boolean }
  | {
      readonly kind: 'number'
      readonly value: number | undefined
      readonly least: number
      readonly most: number
    }
  | {
      readonly kind: 'choice'
      readonly value: string
      readonly choices: readonly (readonly [string, string])[]
    }
  | { readonly kind: 'words'; readonly value: readonly string[] }
  | { readonly kind: 'text'; readonly value: string }
)

function fieldsOf(policy: Policy, name: GuardName): FieldOf[] {
  switch (name) {
    case 'serverOnly': {
      const { maxAge = 300, requireDigest = true, requireContentType = true } = policy.serverOnly ?? {}
      return [
        {
          kind: 'number',
          member: 'maxAge',
          title: 'Signatures expire after (seconds)',
          value: maxAge,
          least: 1,
          most: 3600,
        },
        {
          kind: 'switch',
          member: 'requireDigest',
          title: 'The signature must cover the content',
          value: requireDigest,
        },
        {
          kind: 'switch',
          member: 'requireContentType',
          title: 'The signature must cover the content type',
          value: requireContentType,
        },
      ]
    }
    case 'ipWhitelist': {
      const { lists = [], denyLists = [] } = policy.ipWhitelist ?? {}
      return [
        { kind: 'words', member: 'lists', title: 'Named lists of admitted addresses', value: lists },
        { kind: 'words', member: 'denyLists', title: 'Named lists of refused addresses', value: denyLists },
      ]
    }
    case 'domainProtect': {
      const { server = 'claim', credentials = false, methods = [], headers = [] } = policy.domainProtect ?? {}
      return [
        {
          kind: 'choice',
          member: 'server',
          title: 'Requests that do not come from a browser need',
          value: server,
          choices: [
            ['signed', 'a valid signature'],
            ['claim', 'an X-Origin header that names an origin above'],
            ['none', 'nothing more'],
          ],
        },
        { kind: 'switch', member: 'credentials', title: 'Pages may send cookies', value: credentials },
        {
          kind: 'words',
          member: 'methods',
          title: 'Methods that pages may use',
          help: 'Leave empty to allow all methods.',
          value: methods,
        },
        {
          kind: 'words',
          member: 'headers',
          title: 'Headers that pages may send',
          help: 'Leave empty to allow what a page asks for.',
          value: headers,
        },
      ]
    }
    case 'regionPin': {
      const { onMisdirected = 'reject', fallback = '' } = policy.regionPin ?? {}
      return [
        {
          kind: 'choice',
          member: 'onMisdirected',
          title: 'Requests that belong to another region are',
          value: onMisdirected,
          choices: [
            ['reject', 'refused'],
            ['redirect', 'redirected there'],
            ['handOver', 'handed over there'],
          ],
        },
        {
          kind: 'text',
          member: 'fallback',
          title: 'Jurisdiction for people whose country is unknown',
          help: 'Leave empty to refuse their requests.',
          value: fallback,
        },
      ]
    }
    case 'auditAccess':
      return [
        {
          kind: 'choice',
          member: 'onSinkFailure',
          title: 'If an event cannot be recorded, the request',
          value: policy.auditAccess?.onSinkFailure ?? 'deny',
          choices: [
            ['deny', 'is refused'],
            ['allow', 'is answered without a record'],
          ],
        },
      ]
    default:
      return []
  }
}

function Field(field: FieldOf & { name: GuardName }): JSX.Element {
  const { name, member, title, help } = field
  const id = `${name}-${member}`
  const isRefused = useSignal(false)
  useEffect(() => {
    isRefused.value = false
  }, [String(field.value)])
  /** If the edit is refused, `restore` shows the old value again. What was typed stays, and is marked. */
  const set = async (value: unknown, restore?: () => void): Promise<void> => {
    const isSaved = await editSection(name, () => ({ [member]: value }))
    isRefused.value = !isSaved && restore === undefined
    if (!isSaved) restore?.()
  }
  const texts = [...(isRefused.value ? [`${id}-error`] : []), ...(help === undefined ? [] : [`${id}-help`])]
  const described = {
    ...(texts.length > 0 && { 'aria-describedby': texts.join(' ') }),
    ...(isRefused.value && { 'aria-invalid': true }),
  }
  if (field.kind === 'switch') {
    return (
      <label class="check">
        <input
          type="checkbox"
          checked={field.value}
          onChange={({ currentTarget: box }) =>
            void set(box.checked, () => {
              box.checked = field.value
            })
          }
        />
        {title}
      </label>
    )
  }
  return (
    <div class="field">
      <label for={id}>{title}</label>
      {field.kind === 'choice' && (
        <select
          id={id}
          {...described}
          value={field.value}
          onChange={({ currentTarget: choice }) =>
            void set(choice.value, () => {
              choice.value = field.value
            })
          }
        >
          {field.choices.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      )}
      {field.kind === 'number' && (
        <input
          id={id}
          {...described}
          type="number"
          min={field.least}
          max={field.most}
          value={field.value}
          onChange={(event) => void set(Number(event.currentTarget.value))}
        />
      )}
      {(field.kind === 'words' || field.kind === 'text') && (
        <input
          id={id}
          {...described}
          spellcheck={false}
          value={field.kind === 'text' ? field.value : field.value.join(', ')}
          onChange={(event) => {
            const text = event.currentTarget.value.trim()
            if (field.kind === 'text') void set(text === '' ? undefined : text)
            else {
              const typed = text.split(/[\s,]+/).filter((word) => word !== '')
              const words = member === 'methods' ? typed.map((word) => word.toUpperCase()) : typed
              void set(words.length === 0 && member !== 'lists' ? undefined : words)
            }
          }}
        />
      )}
      {isRefused.value && (
        <p class="invalid" id={`${id}-error`}>
          This value is not saved.
        </p>
      )}
      {help && (
        <p class="quiet" id={`${id}-help`}>
          {help}
        </p>
      )}
    </div>
  )
}
