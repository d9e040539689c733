/**
 * Returns the bytes of a body as `fetch` would send them, and sets the content type that `fetch` would derive from the body,
 * unless one is set. Throws a `TypeError` if the bytes are not known before the body is sent.
 */
export async function readBody(
  body: unknown,
  headers: Headers,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body === undefined || body === null) return undefined
  if (typeof body === 'string') return textOf(body, 'text/plain;charset=UTF-8', headers)
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice()
  // By tag instead of class, because the objects may come from another realm or a polyfill.
  switch (Object.prototype.toString.call(body).slice(8, -1)) {
    case 'ArrayBuffer':
      return new Uint8Array(body as ArrayBuffer).slice()
    case 'URLSearchParams':
      return textOf(
        (body as URLSearchParams).toString(),
        'application/x-www-form-urlencoded;charset=UTF-8',
        headers,
      )
    case 'Blob':
    case 'File': {
      const blob = body as Blob
      if (blob.type !== '' && !headers.has('content-type')) headers.set('content-type', blob.type)
      return new Uint8Array(await blob.arrayBuffer())
    }
    case 'FormData':
      throw new TypeError(
        'the bytes of a FormData are not known before it is sent: pass a Request made from it, `new Request(url, { method, body })`',
      )
    default:
      throw new TypeError(
        'the bytes of this body are not known before it is sent: read a stream first, `await new Response(stream).arrayBuffer()`, and serialise an object with JSON.stringify',
      )
  }
}

function textOf(text: string, type: string, headers: Headers): Uint8Array<ArrayBuffer> {
  if (!headers.has('content-type')) headers.set('content-type', type)
  return new TextEncoder().encode(text)
}

/** Joins byte arrays to one. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}
