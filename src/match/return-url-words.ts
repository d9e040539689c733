/** A phrase for each problem of a refused URL. */
const WORDS: Readonly<Record<string, string>> = {
  'not a string': 'is not a string',
  'too long': 'is longer than 2,048 characters',
  'control character': 'contains a control character',
  backslash: 'contains a backslash',
  'not ASCII': 'contains a character that is not ASCII',
  character: 'contains a character that must be percent-encoded',
  'not absolute': 'is not absolute',
  scheme: 'has a scheme that is not allowed',
  'user information': 'contains user information (`user@`)',
  fragment: 'has a fragment (`#…`)',
  host: 'has an invalid host',
  port: 'has an invalid port',
  encoding: 'has invalid percent-encoding',
  'encoded control character': 'contains an encoded control character',
  'encoded separator': 'contains an encoded slash or backslash',
  'dot segment': 'contains a dot segment (`.` or `..`)',
  repaired: 'would be changed by a URL parser',
  repeated: 'is named more than once',
  'named in several places': 'is named in several places',
  'reserved parameter': 'has a parameter that the response will add',
}

/** Why a request could not be searched for a return URL. */
const UNREAD: Readonly<Record<string, string>> = {
  'body not kept': 'this server has not kept the bytes of the body',
  'malformed body': 'the body is neither JSON nor a form in UTF-8, or it is malformed',
  'too many parameters': 'there are more than 1,000 parameters',
  'fragment in the request target': 'the path of the request contains `#`',
}

/** Why a return URL was refused, as a clause. */
export function sayRefusedUrl(problem: string): string {
  return Object.hasOwn(UNREAD, problem)
    ? `the return URL could not be read: ${UNREAD[problem]}`
    : `the URL was refused: ${sayUrlProblem(problem)}`
}

/** Why a URL was refused, as a phrase: `it has a fragment (`#…`)`. */
export function sayUrlProblem(problem: string): string {
  return Object.hasOwn(WORDS, problem) ? `it ${WORDS[problem]}` : problem
}
