import { Html, html } from './html.ts'

/** The data that a page with forms needs. */
export interface PageContext {
  /** The path to which its forms are sent: `/gateway/…` or `/account`. */
  readonly base: string
  /** The app that sent the person here, if there is one. */
  readonly app: { readonly name: string } | undefined
  readonly csrf: string
  /** The problem with the last attempt. */
  readonly problem?: string | undefined
  /** The name of the field with the problem. */
  readonly wrong?: string | undefined
  /** The input of the last attempt, without passwords and codes. */
  readonly typed?: Readonly<Record<string, string | undefined>> | undefined
  /** Whether emails are printed instead of sent. The pages then say so. */
  readonly mailsArePrinted: boolean
}

/** The problem, with a link to its field. */
export function problemBox({ problem, wrong }: PageContext): Html | undefined {
  if (problem === undefined) return undefined
  const text = wrong === undefined ? problem : html`<a href="#${wrong}">${problem}</a>`
  return html`<p class="problem" id="problem" role="alert">${text}</p>`
}

export function form(context: PageContext, action: string, content: Html): Html {
  return html`<form method="post" action="${context.base}/${action}">
    <input type="hidden" name="csrf" value="${context.csrf}" />${content}
  </form>`
}

export interface Input {
  readonly name: string
  readonly label: string | Html
  readonly type?: string
  readonly autocomplete?: string
  readonly hint?: string
  readonly optional?: boolean
  /** More attributes, as HTML that is not escaped. */
  readonly attributes?: string
  /** Whether the field gets the focus if the page has no problem. */
  readonly first?: boolean
}

/** A field with its label and hint. If it has the problem, it refers to the problem and gets the focus. */
export function input(context: PageContext, field: Input): Html {
  const { name, label, type = 'text', autocomplete, hint, optional = false, attributes = '' } = field
  const isPassword = type === 'password'
  return html`<label for="${name}"
      >${label} ${optional && html`<span class="optional">(optional)</span>`}</label
    >
    <input
      id="${name}"
      name="${name}"
      type="${type}"
      ${autocomplete !== undefined && html`autocomplete="${autocomplete}"`}
      ${new Html(optional ? '' : 'required')}
      ${new Html(attributes)}
      ${!isPassword && context.typed?.[name] !== undefined && html`value="${context.typed[name]}"`}
      ${described(context, name, hint !== undefined)}
      ${focused(context, name, field.first)}
    />
    ${hint !== undefined && html`<p class="hint" id="${name}-hint">${hint}</p>`}`
}

/** The ARIA attributes that refer from a field to its hint, and to the problem if the field has it. */
export function described({ wrong }: PageContext, field: string, hasHint: boolean): Html {
  const by = [...(wrong === field ? ['problem'] : []), ...(hasHint ? [`${field}-hint`] : [])].join(' ')
  return new Html(
    (wrong === field ? 'aria-invalid="true" ' : '') + (by === '' ? '' : `aria-describedby="${by}"`),
  )
}

export function focused({ wrong, problem }: PageContext, field: string, first = false): Html {
  return new Html(wrong === field || (first && problem === undefined) ? 'autofocus' : '')
}

/** Says where to find the code if emails are printed. */
export function mailHint({ mailsArePrinted }: PageContext): Html | undefined {
  if (!mailsArePrinted) return undefined
  return html`<p class="note">
    This gateway runs in development mode. It does not send emails, but prints them in the terminal in which
    it was started.
  </p>`
}
