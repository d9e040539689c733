import { Html, html } from './html.ts'

/** What a page with forms needs to know. */
export interface PageContext {
  /** Where its forms lead: `/gateway/…` or `/account`. */
  readonly base: string
  /** The app that has sent the person here. */
  readonly app: { readonly name: string } | undefined
  readonly csrf: string
  /** What was wrong with the last try. */
  readonly problem?: string | undefined
  /** The field that it is about. */
  readonly wrong?: string | undefined
  /** What was typed in the last try, without passwords. */
  readonly typed?: Readonly<Record<string, string | undefined>> | undefined
  /** In development mails are printed, and the pages say so. */
  readonly mailsArePrinted: boolean
}

/** What is wrong, with a way to the field. */
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
  /** More attributes, written by us. */
  readonly attributes?: string
  /** Where the focus belongs on a page without a problem. */
  readonly first?: boolean
}

/** A field with its label and hint, tied to the problem when that is about it; then the focus is on it as well. */
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

/** Ties a field to its hint, and to the problem when that is about it. */
export function described({ wrong }: PageContext, field: string, hasHint: boolean): Html {
  const by = [...(wrong === field ? ['problem'] : []), ...(hasHint ? [`${field}-hint`] : [])].join(' ')
  return new Html(
    (wrong === field ? 'aria-invalid="true" ' : '') + (by === '' ? '' : `aria-describedby="${by}"`),
  )
}

export function focused({ wrong, problem }: PageContext, field: string, first = false): Html {
  return new Html(wrong === field || (first && problem === undefined) ? 'autofocus' : '')
}

/** Where the code comes from, on a page that asks for it. */
export function mailHint({ mailsArePrinted }: PageContext): Html | undefined {
  if (!mailsArePrinted) return undefined
  return html`<p class="note">
    This gateway runs for development: it sends no mail, and prints it in the terminal in which it was
    started.
  </p>`
}
