import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'

/**
 * Faults that legitimate callers and newcomers have reported, and the tests that prevent their return. If a test is
 * renamed or removed, change it here.
 */
const FAULTS: Readonly<Record<string, readonly (readonly [fault: string, ...tests: (readonly [file: string, title: string])[]])[]>> = {
  'rightful requests that were refused': [
    [
      'an adapter fills `headers` and leaves `rawHeaders` empty',
      ['unit/http/request/headers', 'of an adapter without `rawHeaders` come from `headers`, and are unreadable if not a single string'],
      ['frameworks/uploads', 'passes signed requests, whose headers have no raw form, and refuses changed ones'],
    ],
    [
      'a proxy frames "no body" as one empty chunk, or HTTP/2 as a later end',
      ['integration/guards/uploads', 'does not count as content: type `%s`, coding `%s`, %s'],
      ['integration/guards/uploads', 'does not count as content over HTTP/2, whenever its stream ends; content without a digest is refused'],
      ['frameworks/contract', 'treats one empty chunk as no content'],
    ],
    [
      'HTTP/2 names its host by `:authority`',
      ['unit/http/request/facts', 'the authority of a request'],
      ['frameworks/contract', 'answers %s'],
    ],
    [
      'method-override stands ahead',
      ['integration/guards/method-override', 'passes as it was sent and signed, with the header covered'],
      ['integration/guards/method-override', 'is refused where the method that was never sent was signed'],
    ],
    [
      'a return URL has an apostrophe',
      ['unit/match/return-url', 'returns the canonical form and its parts'],
      ['unit/policy/parse', 'stores %s in canonical form, and only the first of equal ones'],
    ],
    [
      'a policy is written in another legal spelling',
      ['unit/policy/parse', 'stores %s in canonical form, and only the first of equal ones'],
      ['unit/match/ip', 'accepts ${entry} as ${canonical}'],
      ['unit/policy/duplicates', 'finds an entry that means the same as an earlier one, even if it is the only one'],
    ],
    [
      'a proxy rewrites `Host`',
      ['integration/guards/fetch-metadata', 'lets pass, with a note in the evidence: ${what}'],
      ['frameworks/clients-and-proxies', 'has no effect if it %s'],
    ],
    [
      'HEAD is asked where GET is admitted',
      ['unit/guards/domain-protect', 'allows HEAD where GET is allowed'],
    ],
    [
      'entries of Electron, Capacitor, Expo and MSAL',
      ['unit/match/return-url', 'takes %j as it is'],
      ['unit/match/return-url', 'refuses encoded slashes in a prefix, and suggests the exact entry'],
    ],
    [
      'a row of a database is shown as a person',
      ['unit/audit/personal-view', 'shows an instance of a class with its methods, which read through the view'],
    ],
  ],
  'wrong or silent where people look': [
    [
      'a body that is too large or broken, of a caller that is refused anyway',
      ['integration/guards/chain', 'does not read the body of a request that an earlier guard refuses'],
      ['integration/guards/chain', 'shows the error of a body parser to a page of an allowed origin, and to the audit'],
    ],
    [
      'a global express.json() ahead of serverOnly',
      ['integration/guards/setup-checks', '%s: gives a warning'],
      ['integration/guards/uploads', 'is used if the option says so, and handlers get the judged bytes: chunked %s'],
      ['integration/guards/uploads', 'keepBody() accepts bytes that something else has read, if they can be those of the request'],
    ],
    [
      'an upload or a download is cut',
      ['integration/guards/audit-outcome', 'is "aborted" for an upload that the caller cuts off'],
      ['integration/guards/audit-outcome', 'is "aborted" for a download that ${what} and is cut off in the middle (${onSinkFailure})'],
    ],
    [
      'an operation is named by its route',
      ['integration/guards/operation-names', 'consists only of patterns: %s'],
      ['integration/guards/operation-names', 'never contains the value of a parameter, and is complete for answers of routers and applications'],
    ],
    [
      'a server closes in good order while events wait',
      ['integration/guards/audit-outcome', 'sends waiting events when it is flushed, and resolves when the sink has stored them'],
      ['integration/guards/audit-outcome', 'waits for events in flight when it is closed, and then refuses requests that must be recorded'],
      ['integration/examples', '%s starts, allows good requests and refuses bad ones'],
    ],
    [
      'the id of a request comes from a proxy',
      ['unit/http/request/options-of-requests', 'is %j for the result %j of the option'],
    ],
  ],
  'missing, in the order in which people asked': [
    [
      'signed uploads of any media type',
      ['integration/guards/uploads', 'reaches a handler that reads %s'],
      ['integration/guards/uploads', 'is accepted in any chunking, and refused with any change'],
      ['frameworks/uploads', 'reaches multer completely: chunked %s'],
      ['frameworks/clients-and-proxies', 'gets the signed bytes of %s'],
      ['integration/guards/streamed-digest', 'of a known length is never delivered completely if it was forged: sent %s'],
    ],
    [
      'the client address by a function, from any header, with a port, behind a Unix socket',
      ['integration/guards/client-address', 'a function that reads the request'],
      ['integration/guards/client-address', 'any header that stands once'],
      ['integration/guards/client-address', 'with a port, which is left away'],
      ['integration/guards/client-address', 'a Unix socket is a proxy if it is listed as one, even while the server closes'],
    ],
    [
      '`@target-uri` and `@request-target` as cover for what they contain',
      ['unit/signature/coverage', 'components that contain others cover them'],
      ['unit/signature/coverage', 'and protect their contents: %s is refused'],
    ],
    [
      'a proxy strips a path prefix',
      ['integration/guards/path-prefix', 'is ahead of what a router takes off'],
      ['frameworks/clients-and-proxies', 'may remove the prefix of its mount path'],
    ],
    [
      'own pages without Fetch Metadata',
      ['integration/guards/fetch-metadata', 'are admitted by `Referer` where the option says so'],
    ],
    [
      'a raw URL that is not ASCII, and how to mend it',
      ['support/wrong-mounts', 'a return URL with letters that are not ASCII'],
    ],
  ],
  'the first hour of an integrator': [
    [
      'a refusal is told to the developer, and no more than before to a stranger',
      ['integration/guards/developer-lines', 'a kind is printed once a minute, with the number of skipped lines, for all routes together'],
      ['integration/guards/developer-lines', 'a stranger gets the same answer as in production'],
    ],
    [
      'the first block of the README',
      ['package/readme', 'gets 200 with the first command of the page'],
      ['package/readme', 'gets a refusal with the second command, and the server alone prints the reason, as the page says'],
    ],
    [
      'express.json() and cors() stand ahead, as every app has them; the parser of Nest',
      ['integration/guards/setup-checks', '%s: gives a warning'],
      ['integration/guards/placement', 'consumes the bytes if it is mounted before serverOnly'],
      ['frameworks/examples', 'is guarded by functional middleware after its own parser, with the bytes that it has kept'],
    ],
    [
      'wrong options and documents suggest what was probably meant, all at once',
      ['unit/options', 'reports all problems of a call at once, each with its code'],
      ['unit/policy/parse', 'suggests what %s probably means'],
      ['unit/http/construction', 'refuses ${what}'],
      ['unit/http/construction', 'suggests what was probably meant: %s'],
      ['unit/match/ip', 'refuses ${entry} and suggests ${corrected}'],
      ['unit/match/ip', 'refuses %j, and says how to write it'],
      ['unit/match/origin', 'refuses %j, and says how to write it'],
      ['unit/match/return-url', 'refuses %j, and says how to write it'],
      ['unit/jurisdiction/country-guess', 'reads %s in %j'],
    ],
    [
      'async options, and options that fail',
      ['integration/guards/chain', 'can wait at any step and continue there'],
      ['integration/guards/failing-options', 'are exactly those in the table'],
      ['integration/guards/chain', 'receives the error that an option has thrown'],
    ],
    [
      '`onDeny` that calls `next()`, or that answers nothing',
      ['integration/guards/chain', 'does not open the guard when it ${what}'],
      ['integration/guards/chain', 'has five seconds, and then the problem document is sent'],
    ],
    [
      'a guard is mounted ahead of auditAccess',
      ['integration/guards/setup-checks', 'a guard ahead of auditAccess'],
    ],
    [
      'a policy that is written in TypeScript or in an editor',
      ['unit/policy/json-schema', 'refuses at compile time what parsePolicy refuses'],
      ['unit/policy/json-schema', 'describes every member'],
    ],
    [
      'npm install from git; TypeScript 5 with `moduleResolution: node`',
      ['package/tarball', 'npm builds the package from the contents of the repository'],
      ['package/tarball', 'with TypeScript 5 and `moduleResolution: node`'],
    ],
    [
      'size of the tarball, on disk, in a bundle',
      ['package/tarball', 'has at most 525 kB, and at most 3 MB on disk'],
      ['package/tarball', 'has no dependencies'],
      ['package/tarball', 'a guard with a policy source and a memory store takes at most 350 KiB'],
    ],
    [
      'OAuth servers: Basic and body, an omitted redirect URI, errors that clients can read; Passport, better-auth, Nest',
      ['integration/guards/chain', 'is found in HTTP Basic, form-encoded as OAuth clients send it'],
      ['frameworks/examples', 'signs a person in completely for a standard client'],
      ['frameworks/examples', 'signs a person in with a posted form, for a client that signs its token request'],
      ['frameworks/examples', 'signs a person in, and redirects to the requested return URL'],
      ['frameworks/examples', 'signs a person up, in and out completely'],
      ['frameworks/examples', 'accepts signed calls through protect(), and passes on the parsed body'],
    ],
    [
      'a wildcard route, under which every operation has one name',
      ['integration/guards/operation-names', 'is the result of the `operation` option if there is one'],
      ['frameworks/examples', 'answers signed queries, in which resolvers see the app, and refuses others'],
    ],
  ],
} // prettier-ignore

const tests = join(process.cwd(), 'test')

/** Whether the file contains this text as a complete string, like titles and table rows. */
function has(source: string, title: string): boolean {
  const escaped = title.replaceAll("'", "\\'")
  return [`'${escaped}'`, `"${title}"`, `\`${title}\``].some((text) => source.includes(text))
}

describe.each(Object.entries(FAULTS))('of %s', (_kind, faults) => {
  it.each(faults)('%s: a test prevents it', (_fault, ...named) => {
    const missing = named.filter(([file, title]) => {
      // A table of cases may be in a separate file.
      const path = ['.test.ts', '.ts'].map((ending) => join(tests, file + ending)).find(existsSync)
      return path === undefined || !has(readFileSync(path, 'utf8'), title)
    })
    expect(named.length).toBeGreaterThan(0)
    expect(missing).toEqual([])
  })
})
