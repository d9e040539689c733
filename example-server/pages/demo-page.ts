import { html } from './html.ts'
import { shopLayout } from './layout.ts'

/** The page of the demo browser app, which signs a person in through the gateway. Its script is /assets/demo.js. */
export function demoPage(): string {
  return shopLayout(
    'Welcome',
    html`<h1>Demo shop</h1>
      <p id="intro">Fresh bread every morning. When you sign in, the shop asks the gateway who you are.</p>
      <div id="without-script">
        <p>
          This shop is a browser app and needs JavaScript; the gateway itself does not. The first command
          printed in the terminal plays the part of an app that calls from a server.
        </p>
        <p><a href="/">Go to the front page of the gateway</a></p>
      </div>
      <button id="sign-in" hidden>Sign in with the gateway</button>
      <p id="state" role="status" tabindex="-1"></p>
      <dl id="me" class="facts"></dl>
      <p id="after" hidden>
        <a href="/account">At the gateway, see what this shop may read, and revoke its access</a>
      </p>`,
  )
}
