import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { digestProblem, hasContent, type Content } from '../../../src/signature/digest.ts'

const text = '{"hello": "world"}'
const body: Content = { kind: 'bytes', bytes: Buffer.from(text) }

function digest(algorithm: 'sha256' | 'sha512', of: string): string {
  return `${algorithm.replace('a', 'a-')}=:${createHash(algorithm).update(of).digest('base64')}:`
}

describe('Content-Digest', () => {
  // RFC 9421 appendix B.2
  const vector =
    'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:'
  const holding: readonly (readonly string[])[] = [
    [vector],
    [digest('sha256', text)],
    [`${digest('sha256', text)}, ${vector}`],
    [digest('sha256', text), vector],
    [`md5=:AAAA:, ${vector}`],
    [`unixsum=7, ${vector};note=1`],
  ]
  it.each(holding)('matches: %s', (...lines) => {
    expect(digestProblem(lines, body)).toBeUndefined()
  })

  const refused: readonly (readonly [line: string, problem: RegExp])[] = [
    [digest('sha256', `${text} `), /^the sha-256 digest does not match the content$/],
    [`${digest('sha256', text)}, ${digest('sha512', '')}`, /^the sha-512 digest does not match/],
    [`${digest('sha256', '')}, ${digest('sha256', text)}`, /repeats a key/],
    ['md5=:AAAA:', /neither sha-256 nor sha-512/],
    ['', /neither sha-256 nor sha-512/],
    ['sha-256', /^the sha-256 digest is malformed/],
    ['sha-256=("a")', /^the sha-256 digest is malformed/],
    ['sha-256=:AAAA:', /^the sha-256 digest is malformed/],
    [`sha-256="${digest('sha256', text).slice(9, -1)}"`, /^the sha-256 digest is malformed/],
    [digest('sha256', text).replace(/:/g, ''), /^Content-Digest is not a dictionary/],
    ['sha-256=::, ', /^Content-Digest is not a dictionary/],
  ]
  it.each(refused)('does not match: %s', (line, problem) => {
    expect(digestProblem([line], body)).toMatch(problem)
  })

  it('is compared with empty content if there is none', () => {
    expect(digestProblem([digest('sha256', '')], { kind: 'none' })).toBeUndefined()
    expect(digestProblem([digest('sha256', text)], { kind: 'none' })).toMatch(/does not match/)
  })

  it('says what to do if the bytes were not kept', () => {
    expect(digestProblem([vector], { kind: 'unavailable' })).toBe(
      'this server has not kept the bytes of the body: mount bodyParsers() before serverOnly, with `keep` for types other than JSON and forms',
    )
  })

  it('of streamed content is checked for its form', () => {
    const arriving: Content = { kind: 'unavailable', digested: true }
    for (const lines of holding) expect(digestProblem(lines, arriving)).toBeUndefined()
    for (const [line, problem] of refused) {
      if (/does not match/.test(problem.source)) continue
      expect(digestProblem([line], arriving)).toMatch(problem)
    }
  })

  it('treats empty content as no content', () => {
    expect(hasContent({ kind: 'bytes', bytes: new Uint8Array(0) })).toBe(false)
    expect(hasContent({ kind: 'unavailable' })).toBe(true)
  })
})
