import { LABELS } from './pages/consent-page.ts'

/** Served as /assets/style.css. */
export const STYLE = `
:root { color-scheme: light dark; --line: #767676; --soft-line: #8886; --accent: #1f4fa3; --on-accent: #fff; --problem: #a3201f; --good: #1c6b33; --soft: #8882; --hint: #4c4c4c; --paper: #fff; --ink: #161616; }
@media (prefers-color-scheme: dark) { :root { --accent: #9dbcf5; --on-accent: #101828; --problem: #ff9b94; --good: #86d99a; --line: #9a9a9a; --hint: #bdbdbd; --paper: #14161a; --ink: #ececec; } }
.shop { --accent: #8a3b12; --on-accent: #fff; }
@media (prefers-color-scheme: dark) { .shop { --accent: #f0b48a; --on-accent: #241005; } }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; display: flex; flex-direction: column; min-height: 100vh; background: var(--paper); color: var(--ink); overflow-wrap: anywhere; }
header, footer, main { width: 100%; max-width: 36rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; justify-content: space-between; border-bottom: 3px solid var(--accent); }
header .brand { font-weight: 600; color: inherit; text-decoration: none; }
.shop header { max-width: none; background: var(--accent); }
.shop header a { color: var(--on-accent); }
main { flex: 1; }
footer { font-size: .875rem; border-top: 1px solid var(--soft-line); color: var(--hint); }
[hidden] { display: none !important; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
label { display: block; font-weight: 600; margin: 1rem 0 .25rem; }
input:not([type=checkbox]), select { width: 100%; min-width: 0; font: inherit; padding: .6rem .7rem; border: 1px solid var(--line); border-radius: .4rem; background: Field; color: FieldText; }
button, .button { display: inline-block; max-width: 100%; font: inherit; font-weight: 600; padding: .65rem 1.2rem; margin: 1.25rem 0 .25rem; border: 1px solid var(--accent); border-radius: .4rem; background: var(--accent); color: var(--on-accent); cursor: pointer; text-decoration: none; text-align: start; overflow-wrap: anywhere; }
button.plain, button.small { background: none; color: inherit; border-color: var(--line); font-weight: 400; margin: .5rem 0; }
button.small { padding: .3rem .8rem; margin: 0; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
/* Scripts move the focus here, where screen readers then continue. */
[tabindex="-1"]:focus { outline: none; }
.problem { border: 1px solid var(--problem); border-left-width: .4rem; border-radius: .4rem; padding: .7rem .9rem; color: var(--problem); font-weight: 600; }
.done { border: 1px solid var(--good); border-left-width: .4rem; border-radius: .4rem; padding: .7rem .9rem; color: var(--good); font-weight: 600; }
.note { border-left: .4rem solid var(--soft-line); padding: .3rem .9rem; }
[aria-invalid=true] { border-color: var(--problem) !important; }
.problem a { color: inherit; }
.hint, .optional { font-size: .9rem; font-weight: 400; color: var(--hint); margin: .25rem 0 0; }
.wishes, .rows { list-style: none; padding: 0; border: 1px solid var(--soft-line); border-radius: .4rem; }
.wishes li, .rows li { display: flex; gap: .75rem; align-items: flex-start; padding: .75rem .9rem; }
.rows li { justify-content: space-between; flex-wrap: wrap; }
.wishes li + li, .rows li + li { border-top: 1px solid var(--soft-line); }
.wishes li > div { flex: 1; min-width: 0; }
.wishes label { margin: 0; }
.wishes label.inner { font-weight: 400; margin: .5rem 0 .25rem; }
.wishes input[type=checkbox] { margin: .35rem 0 0; width: 1.1rem; height: 1.1rem; flex: none; }
.value { display: block; font-weight: 400; }
.qr { display: block; width: 220px; height: 220px; max-width: 100%; margin: 1rem 0; background: #fff; }
.key, .codes { font-size: 1.05rem; }
main.wide { max-width: 60rem; }
table { width: 100%; border-collapse: collapse; }
.scroll { overflow-x: auto; }
.scroll th, .scroll td { overflow-wrap: normal; }
th, td { text-align: left; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--soft-line); vertical-align: top; }
code { font-size: .9em; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; }
@media (min-width: 32rem) { .facts { display: grid; grid-template-columns: 10rem 1fr; } .facts dd { min-width: 0; } }
`

/**
 * Served as /assets/demo.js: the code of a browser app. It has no secret: its origin protects it, and PKCE protects its
 * code.
 */
export const demoScript = (appId: string): string => `
const labels = ${JSON.stringify({ ...LABELS, id: 'Identifier' })}
const state = document.getElementById('state')
const button = document.getElementById('sign-in')
button.hidden = false
document.getElementById('without-script').remove()
const post = async (path, body) => {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-app-id': ${JSON.stringify(appId)} },
    body: JSON.stringify(body),
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.title + ' (' + answer.code + ')')
  return answer
}
const tell = (text) => { state.textContent = text; state.focus() }
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

button.addEventListener('click', async () => {
  if (button.getAttribute('aria-disabled') === 'true') return
  button.setAttribute('aria-disabled', 'true')
  try {
    const request_id = crypto.randomUUID()
    // An attacker who intercepts the code does not know the verifier (RFC 7636).
    const code_verifier = base64url(crypto.getRandomValues(new Uint8Array(32)))
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(code_verifier))
    const connect = await post('/auth/v2/connect', {
      request_id,
      scope: 'firstname! email! surname country language image',
      return_url: location.origin + '/demo/callback/',
      code_challenge: base64url(new Uint8Array(digest)),
      code_challenge_method: 'S256',
    })
    sessionStorage.setItem('request', JSON.stringify({ request_id, code_verifier }))
    location.assign(connect.gateway)
  } catch (error) { tell(error.message); button.removeAttribute('aria-disabled') }
})
// After the Back button, the browser may show the page in the state in which it was left.
addEventListener('pageshow', () => button.removeAttribute('aria-disabled'))

const answer = new URLSearchParams(location.search)
const of = (name) => answer.get('_ukey1[' + name + ']')
async function finish() {
  history.replaceState(null, '', '/demo')
  const { request_id, code_verifier } = JSON.parse(sessionStorage.getItem('request') ?? '{}')
  sessionStorage.removeItem('request')
  if (request_id === undefined || of('request_id') !== request_id) throw new Error('This answer does not belong to a request from this shop.')
  if (of('result') !== 'authorized') throw new Error('You cancelled. Nothing was shared.')
  const { access_token, me } = await post('/auth/v2/token', {
    request_id, connect_id: of('connect_id'), auth_code: of('code'), code_verifier,
  })
  const response = await fetch(me, {
    headers: { authorization: 'Bearer ' + access_token, 'x-app-id': ${JSON.stringify(appId)} },
  })
  const { user, title } = await response.json()
  if (!response.ok) throw new Error(title)
  for (const [name, value] of Object.entries(user)) {
    const term = document.createElement('dt')
    const text = document.createElement('dd')
    term.textContent = labels[name] ?? name
    text.textContent = value === '' ? '–' : String(value)
    document.getElementById('me').append(term, text)
  }
  document.getElementById('after').hidden = false
  button.textContent = 'Sign in again'
  tell('Signed in. You shared:')
}
if (of('result') !== null) finish().catch((error) => tell(error.message))
`
