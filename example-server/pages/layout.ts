import { html, type Html } from './html.ts'

const head = (title: string): Html =>
  html`<meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${title}</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/assets/style.css" />`

/** A page of the gateway. */
export function layout(
  title: string,
  body: Html,
  { signedIn = false, wide = false }: { signedIn?: boolean; wide?: boolean } = {},
): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        ${head(`${title} – Example gateway`)}
      </head>
      <body>
        <header>
          <a class="brand" href="/">Example gateway</a>
          <nav><a href="/account">${signedIn ? 'Your account' : 'Account'}</a></nav>
        </header>
        <main${wide && html` class="wide"`}>${body}</main>
        <footer>An example of <strong>Portcullis</strong>. Do not use a real password here.</footer>
      </body>
    </html>`.text
}

/** A page of the demo shop. It looks different from the gateway, because the shop is another party. */
export function shopLayout(title: string, body: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        ${head(`${title} – Demo shop`)}
      </head>
      <body class="shop">
        <header>
          <a class="brand" href="/demo">Demo shop</a>
          <nav><a href="/">About the gateway</a></nav>
        </header>
        <main>${body}</main>
        <footer>This page plays the part of an app whose users sign in through the gateway.</footer>
        <script src="/assets/demo.js"></script>
      </body>
    </html>`.text
}

/** A link that leads on from a page. */
export interface Way {
  readonly href: string
  readonly text: string
}

/** A page with a message, and links to where the person can go from here. */
export function messagePage(
  title: string,
  text: string,
  {
    ways = [{ href: '/', text: 'Go to the front page' }],
    more,
  }: { ways?: readonly Way[]; more?: Html | undefined } = {},
): string {
  return layout(
    title,
    html`<h1>${title}</h1>
      <p>${text}</p>
      ${more} ${ways.map((way) => html`<p><a href="${way.href}">${way.text}</a></p>`)}`,
  )
}
