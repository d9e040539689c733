import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createConsole } from '../../console/create-console.ts'
import { CONSOLE_RIGHTS, isConsoleRight, type ConsoleRight } from '../../console/rights.ts'
import { didYouMean } from '../../did-you-mean.ts'
import { CommandUsageError, EXIT, numberOf, textOf, textsOf, type Invocation } from '../command.ts'
import { plain, tell } from '../output.ts'
import { withStore } from '../store.ts'
import { openAudit } from './audit.ts'

const HOST = '127.0.0.1'

export const serveConsole = withStore(async (invocation, opened) => {
  const rights = rightsOf(invocation)
  const port = numberOf(invocation.values, 'port', 0) ?? 0
  if (port > 65_535) throw new CommandUsageError('`--port` must be at most 65535')
  const audit = await openAudit(invocation, opened)
  const { env, values, signal } = invocation
  const name = textOf(values, 'author') ?? env['USER'] ?? env['LOGNAME'] ?? 'command line'
  const tokens = oneTimeTokens()
  const { place, close, ...told } = audit
  const answer = createConsole({
    ...told,
    store: opened.store,
    authorize: ({ token }) => {
      if (token === undefined || !tokens.take(token)) return undefined
      tell(invocation, `signed in; token for the next sign-in: ${tokens.next()}`)
      return { name, rights }
    },
    onError: (error) => tell(invocation, `internal error: ${plain((error as Error).message)}`),
  })
  const server = createServer((req, res) => {
    // Refuses foreign host names, because anybody's DNS can point a name to this machine.
    if (!isOurs(req.headers.host, (server.address() as AddressInfo).port)) {
      res
        .writeHead(421, { 'Content-Type': 'text/plain; charset=utf-8' })
        .end('This server does not serve that host.\n')
      return
    }
    answer(req, res, () => {
      res.writeHead(404).end()
    })
  })
  try {
    const address = await listen(server, port)
    await invocation.out(`${address}\ntoken: ${tokens.next()}\n`)
    tell(
      invocation,
      `The console for ${opened.place} is running. Changes are recorded in: ${place}. Press Ctrl-C to stop.`,
    )
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    tell(invocation, 'the console has stopped')
    return EXIT.ok
  } finally {
    await end(server)
    await close()
  }
})

function rightsOf({ values }: Invocation): readonly ConsoleRight[] {
  const given = textsOf(values, 'right')
  if (given.length === 0) return CONSOLE_RIGHTS
  return given.map((right) => {
    if (isConsoleRight(right)) return right
    const meant = didYouMean(right, CONSOLE_RIGHTS)
    throw new CommandUsageError(
      `\`--right\` must be one of ${CONSOLE_RIGHTS.join(', ')}${meant === undefined ? '' : `: did you mean \`${meant}\`?`}`,
    )
  })
}

/** Tokens that are valid for one sign-in each. */
function oneTimeTokens(): { next(): string; take(token: string): boolean } {
  let current = ''
  const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()
  return {
    next: () => (current = randomBytes(24).toString('base64url')),
    take(token) {
      if (current === '' || !timingSafeEqual(digestOf(token), digestOf(current))) return false
      current = ''
      return true
    },
  }
}

function isOurs(host: string | undefined, port: number): boolean {
  return [HOST, 'localhost'].some((name) => host === `${name}:${port}` || (port === 80 && host === name))
}

async function listen(server: Server, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new CommandUsageError(`port ${port} is in use: give another with \`--port\``)
          : error,
      ),
    )
    server.listen(port, HOST, resolve)
  })
  return `http://${HOST}:${(server.address() as AddressInfo).port}/`
}

/** Also ends responses that follow the log live. */
async function end(server: Server): Promise<void> {
  if (!server.listening) return
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
