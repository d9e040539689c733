import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { generateKeyPairSync } from 'node:crypto'
import { parseAppKeys, type VerifierKey } from '../../../src/signature/keys.ts'
import { verifyMessage, type Rejected, type Verified } from '../../../src/signature/verify.ts'
import { RULES, SECRET } from '../signature/message.ts'

const pair = generateKeyPairSync('ed25519')

/** An Ed25519 key of the app, in every form. */
export const ED25519 = {
  pem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  der: pair.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
  publicKey: Buffer.from(pair.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64'),
} as const

/** `key-1` signs with SECRET, `key-2` with ED25519. */
export const APP_KEYS: readonly VerifierKey[] = parseAppKeys([
  { id: 'key-1', algorithm: 'hmac-sha256', secret: SECRET },
  { id: 'key-2', algorithm: 'ed25519', secret: ED25519.publicKey },
])

export interface Received {
  readonly req: IncomingMessage
  readonly content: Buffer
  readonly result: Verified | Rejected
}

/** Accepts any request, and records the verdict of the verifier on the received bytes. */
export function verifyingListener(
  received: Received[],
  answer: (req: IncomingMessage, res: ServerResponse) => void = (_req, res) => void res.end('answer'),
): RequestListener {
  const receive = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const content = await buffer(req)
    const message = {
      method: req.method ?? '',
      authority: req.headers.host,
      target: req.url ?? '',
      header: (name: string) =>
        req.rawHeaders.filter((_, at, all) => at % 2 === 1 && all[at - 1]?.toLowerCase() === name),
      body: content.length === 0 ? ({ kind: 'none' } as const) : ({ kind: 'bytes', bytes: content } as const),
    }
    received.push({ req, content, result: verifyMessage(message, APP_KEYS, RULES, Date.now()) })
    answer(req, res)
  }
  return (req, res) => void receive(req, res)
}

/** A server on the loopback address with this listener. */
export async function startVerifyingServer(
  answer?: (req: IncomingMessage, res: ServerResponse) => void,
): Promise<{ origin: string; received: Received[]; close(): Promise<void> }> {
  const received: Received[] = []
  const server = createServer(verifyingListener(received, answer))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
