/** A problem with the percent-encoding of a path or a query. */
export type EncodingProblem = 'encoding' | 'encoded control character' | 'encoded separator' | 'dot segment'

const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/
const ESCAPED_RUNS = /(?:%[0-9A-Fa-f]{2})+/g
const ESCAPED_SEPARATOR = /%(?:2F|5C)/i
const ESCAPED_BACKSLASH = /%5C/i
// C0, DEL, C1, and the two line terminators of Unicode.
const CONTROL = /[\0-\x1f\x7f-\x9f\u2028\u2029]/
const NOT_ASCII = /[^\0-\x7f]/
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu
// No real path is encoded this often. The bound keeps the work linear in the length of the text.
const MAX_DECODINGS = 5

/**
 * Checks a path of printable ASCII as written, and after each decoding that a later program may do. At any depth, a dot
 * segment, an encoded slash or backslash, or a control character is a problem.
 */
export function pathProblem(path: string): EncodingProblem | undefined {
  if (!path.includes('%')) return path.includes('/.') && hasDotSegment(path) ? 'dot segment' : undefined
  return decodingProblem(path, ESCAPED_SEPARATOR)
}

/** Like `pathProblem`, but allows encoded slashes: for a path that is compared as a whole, byte for byte. */
export function exactPathProblem(path: string): EncodingProblem | undefined {
  return decodingProblem(path, ESCAPED_BACKSLASH)
}

function decodingProblem(path: string, separator: RegExp): EncodingProblem | undefined {
  if (BROKEN_ESCAPE.test(path)) return 'encoding'
  let text = path
  for (let depth = 0; depth <= MAX_DECODINGS; depth += 1) {
    if (hasDotSegment(text)) return 'dot segment'
    if (separator.test(text)) return 'encoded separator'
    const decoded = decode(text)
    if (decoded === undefined) return 'encoding'
    if (decoded === text) return undefined
    if (CONTROL.test(decoded)) return 'encoded control character'
    const problem = lookalikeProblem(decoded)
    if (problem !== undefined) return problem
    text = decoded
  }
  return 'encoding'
}

/** Checks a query of printable ASCII. It must be well-formed UTF-8, and must not decode to control characters. */
export function encodingProblem(query: string): EncodingProblem | undefined {
  if (!query.includes('%')) return undefined
  if (BROKEN_ESCAPE.test(query)) return 'encoding'
  const decoded = decode(query)
  if (decoded === undefined) return 'encoding'
  return CONTROL.test(decoded) ? 'encoded control character' : undefined
}

/** Decodes once. `undefined` if the bytes are not UTF-8. After a decoding, a percent sign may be a plain character. */
function decode(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    const decoded = text.replace(ESCAPED_RUNS, (run) => decodeURIComponent(run))
    // A replacement character shows that bytes were lost in an earlier decoding.
    return decoded.includes('\ufffd') ? undefined : decoded
  } catch {
    return undefined
  }
}

/**
 * Finds `.` and `..`, also with an ending that a server may cut off: path parameters (`..;x`), spaces (Windows), or a query
 * or fragment that appears after decoding.
 */
function hasDotSegment(path: string): boolean {
  return path.split('/').some((segment) => {
    const name = segment.split(/[;?#]/, 1)[0]?.trim()
    return name === '.' || name === '..'
  })
}

/** Text normalisation (NFKC) converts full-width dots and slashes to plain ones. Invisible characters may be dropped. */
function lookalikeProblem(decoded: string): EncodingProblem | undefined {
  if (!NOT_ASCII.test(decoded)) return undefined
  const plain = decoded.normalize('NFKC').replace(IGNORABLE, '')
  if (hasDotSegment(plain)) return 'dot segment'
  const separators = (text: string): number => text.split(/[/\\]/).length
  return separators(plain) === separators(decoded) ? undefined : 'encoded separator'
}
