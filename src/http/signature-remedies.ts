import { knows, says, signedOtherwise, type Advice, type Special } from './advice.ts'

export const UNKNOWN_APP =
  'check the spelling of the id, and that this server reads the store that the app was written to. An empty store has no apps.'

export const STRANGER: Special = [says('there is no such app'), UNKNOWN_APP]

export const BODY_PARSERS =
  'mount bodyParsers() before the guard. If another parser is mounted there, such as express.json(), replace it: it does not keep the bytes.'

/** How to fix what is wrong with a signature, or with the content that it covers. */
export const SIGNATURE_ADVICE = {
  SIGNATURE_REQUIRED: {
    special: [STRANGER],
    general:
      'sign the request with `signRequest` or a client of portcullis/client. If it was signed, look for a proxy that removes `Signature` or `Signature-Input`.',
  },
  SIGNATURE_INVALID: {
    special: [
      STRANGER,
      [
        says('with a key of the app'),
        'compare the key id in the signature (`keyid`) with the keys that the store has for this app.',
      ],
      [signedOtherwise('@method'), 'sign the method that is sent.'],
      [
        signedOtherwise('@authority', 'host'),
        'sign the host that is called. If a proxy has changed `Host`, configure it to pass the original `Host` on, or set the `authority` option to the origin that callers sign.',
      ],
      [
        signedOtherwise('@path', '@target-uri', '@request-target', '@query'),
        'sign the whole path and query, as they are called. If a proxy changes them, configure it to pass them on unchanged, or set the `pathPrefix` option to the prefix that it strips.',
      ],
      [
        says('exactly one readable Host'),
        'send one `Host` header, with one host and, if it is not the default, its port.',
      ],
      [
        says('which the origins in `authority` do not include'),
        'add the origin that callers use to the `authority` option. If a proxy has changed `Host`, configure it to pass the original `Host` on.',
      ],
      [
        says('`authority` option returned undefined'),
        'let the function in `authority` return the origin that callers use. `undefined` refuses the request.',
      ],
      [knows('base64 text of the secret'), 'the caller must decode the secret from base64 before it signs.'],
      [
        says('does not match the received request'),
        'compare the secret of this key on both sides. If it is the same, a proxy has changed something that is signed: `Host` (the `authority` option must be the origin that callers sign), or the path, if it strips a prefix (the `pathPrefix` option must be exactly this prefix). With `explainMismatch: true`, the answer has the signature base to compare with.',
      ],
      [
        says('content-digest'),
        'the caller must send and sign `Content-Digest`. The clients of portcullis/client do so if you pass them the body.',
      ],
      [
        says('not covered'),
        'the caller must also sign the components named here, as the clients of portcullis/client do.',
      ],
      [
        ({ detail }) => /is not valid yet|is no longer valid/.test(detail),
        'sign with a key that is currently valid, or change `notBefore` and `notAfter` of this key.',
      ],
      [
        ({ detail }) => /^Signature(?:-Input)? was not sent/.test(detail),
        'send both `Signature` and `Signature-Input`, as `signRequest` writes them. If the caller has sent both, look for a proxy that removes one of them.',
      ],
      [
        ({ detail }) =>
          /dictionary|different labels|Signature-Input is empty|list of components|byte sequence|canonical form/.test(
            detail,
          ),
        'write both headers as `signRequest` does: `Signature-Input: sig1=("@method" …);created=…;keyid="…";nonce="…"` and `Signature: sig1=:<base64>:`, with the same label.',
      ],
      [says('is not the algorithm'), 'sign with the algorithm of the key, or leave `alg` out.'],
    ],
    general:
      'compare the key on both sides, then look for a proxy that changes what is signed. `explainMismatch: true` shows the signature base in development.',
  },
  SIGNATURE_EXPIRED: {
    special: [
      [
        // More than 30 years: no clock is that wrong.
        ({ detail }) => /created [0-9]{9,} s /.test(detail),
        '`created` must be in seconds since the epoch, and the option `now` of the signer or of the guard must return milliseconds, as `Date.now` does.',
      ],
      [
        says('in the future'),
        'synchronise the clocks: the clock of the caller is ahead of the clock of this server.',
      ],
    ],
    general:
      'synchronise the clocks of both servers, and create a new signature for each attempt: signed requests must not wait in a queue.',
  },
  SIGNATURE_REPLAYED: {
    general: 'create a new signature for each attempt, even when a request is repeated after a timeout.',
  },
  DIGEST_MISMATCH: {
    special: [
      [
        (picture) => says('has not kept the bytes')(picture) && knows('`Content-Type` is')(picture),
        'mount bodyParsers() before the guard, and name this media type in its `keep` (`bodyKeep` of `protect()`): without it, only the bytes of JSON and forms are kept.',
      ],
      [says('has not kept the bytes'), BODY_PARSERS],
    ],
    general: 'the caller must sign exactly the bytes that it sends. Look for a proxy that rewrites bodies.',
  },
} satisfies Readonly<Record<string, Advice>>
