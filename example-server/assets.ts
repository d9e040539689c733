/** Served as /assets/style.css. */
export const STYLE = `
:root { color-scheme: light dark; --line: #8886; --accent: #1f4fa3; --on-accent: #fff; --problem: #a3201f; --soft: #8881; }
@media (prefers-color-scheme: dark) { :root { --accent: #9dbcf5; --on-accent: #101828; --problem: #ff9b94; } }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; display: flex; flex-direction: column; min-height: 100vh; }
header, footer, main { width: 100%; max-width: 36rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { font-weight: 600; border-bottom: 1px solid var(--line); }
header a { color: inherit; text-decoration: none; }
main { flex: 1; }
footer { font-size: .875rem; border-top: 1px solid var(--line); }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
label { display: block; font-weight: 600; margin: 1rem 0 .25rem; }
input:not([type=checkbox]), select { width: 100%; font: inherit; padding: .6rem .7rem; border: 1px solid #767676; border-radius: .4rem; background: Field; color: FieldText; }
button, .button { display: inline-block; font: inherit; font-weight: 600; padding: .65rem 1.2rem; margin: 1.25rem 0 .25rem; border: 1px solid var(--accent); border-radius: .4rem; background: var(--accent); color: var(--on-accent); cursor: pointer; text-decoration: none; }
button.plain { background: none; color: inherit; border-color: var(--line); font-weight: 400; margin: .5rem 0; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.problem { border: 1px solid var(--problem); border-left-width: .4rem; border-radius: .4rem; padding: .7rem .9rem; color: var(--problem); font-weight: 600; }
[aria-invalid=true] { border-color: var(--problem) !important; }
.problem a { color: inherit; }
.hint, .optional { font-size: .9rem; font-weight: 400; opacity: .8; margin: .25rem 0 0; }
.wishes { list-style: none; padding: 0; border: 1px solid var(--line); border-radius: .4rem; }
.wishes li { display: flex; gap: .75rem; align-items: flex-start; padding: .75rem .9rem; }
.wishes li + li { border-top: 1px solid var(--line); }
.wishes li > div { flex: 1; min-width: 0; }
.wishes label { margin: 0; }
.wishes label.inner { font-weight: 400; margin: .5rem 0 .25rem; }
.wishes input[type=checkbox] { margin: .35rem 0 0; width: 1.1rem; height: 1.1rem; flex: none; }
.value { display: block; font-weight: 400; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
code { font-size: .9em; overflow-wrap: anywhere; }
.route { overflow-wrap: normal; }
@media (min-width: 32rem) { .route { white-space: nowrap; } }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
`

/** Served as /assets/demo.js: what a browser app does. It has no secret; its origin is what protects it. */
export const demoScript = (appId: string): string => `
const state = document.getElementById('state')
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
const tell = (error) => { state.textContent = error.message }

document.getElementById('sign-in').addEventListener('click', async () => {
  try {
    const request_id = crypto.randomUUID()
    const connect = await post('/auth/v2/connect', {
      request_id,
      scope: 'firstname! email! surname country language image',
      return_url: location.origin + '/demo/callback/',
    })
    sessionStorage.setItem('request_id', request_id)
    location.assign(connect.gateway)
  } catch (error) { tell(error) }
})

const answer = new URLSearchParams(location.search)
const of = (name) => answer.get('_ukey1[' + name + ']')
async function finish() {
  history.replaceState(null, '', '/demo')
  if (of('request_id') !== sessionStorage.getItem('request_id')) throw new Error('This answer is not to a question of ours.')
  if (of('result') !== 'authorized') throw new Error('You have cancelled. Nothing was shared.')
  const { access_token } = await post('/auth/v2/token', {
    request_id: of('request_id'), connect_id: of('connect_id'), auth_code: of('code'),
  })
  const response = await fetch('/auth/v2/me', {
    headers: { authorization: 'Bearer ' + access_token, 'x-app-id': ${JSON.stringify(appId)} },
  })
  const { user, title } = await response.json()
  if (!response.ok) throw new Error(title)
  state.textContent = 'Signed in. This is what you have shared:'
  for (const [name, value] of Object.entries(user)) {
    const term = document.createElement('dt')
    const text = document.createElement('dd')
    term.textContent = name
    text.textContent = value === '' ? '–' : String(value)
    document.getElementById('me').append(term, text)
  }
}
if (of('result') !== null) finish().catch(tell)
`
