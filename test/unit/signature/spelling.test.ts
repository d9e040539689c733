import { createHmac } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { signatureBase } from '../../../src/signature/base.ts'
import { parseSignatures, readSignatures } from '../../../src/signature/fields.ts'
import { scanSignature } from '../../../src/signature/scan.ts'
import { verifyMessage } from '../../../src/signature/verify.ts'
import { KEYS, messageOf, NOW, RULES, SECRET, type PlainMessage } from './message.ts'
import { runs } from '../../support/runs.ts'

const CREATED = Math.floor(NOW / 1000)
const PLAIN: PlainMessage = {
  method: 'GET',
  authority: 'example.com',
  target: '/a?b=c',
  headers: { 'x-a': 'b' },
}

/** A message with a valid signature, in its original spelling. */
function signedHeaders(components: readonly string[]): { input: string; signature: string } {
  const base = signatureBase(messageOf(PLAIN), components, [
    ['created', CREATED],
    ['expires', CREATED + 60],
    ['keyid', 'key-1'],
    ['nonce', 'nonce-of-16-char'],
  ])
  if ('problem' in base) throw new Error(base.problem)
  const mac = createHmac('sha256', Buffer.from(SECRET, 'base64')).update(base.text).digest('base64')
  return { input: `sig1=${base.input}`, signature: `sig1=:${mac}:` }
}

const { input, signature } = signedHeaders(['@method', '@authority', '@path', '@query', 'x-a'])

function verdict(changedInput: string, changedSignature: string): object {
  const headers = { ...PLAIN.headers, 'signature-input': changedInput, signature: changedSignature }
  return verifyMessage(messageOf({ ...PLAIN, headers }), KEYS, RULES, NOW)
}

const INPUT_PROBLEM = 'Signature-Input `sig1` has a value that is not in the canonical form of RFC 9651'
const SIGNATURE_PROBLEM = 'Signature `sig1` is not base64 in the canonical form of RFC 9651'

/** The signature with other unused bits in the last base64 character. */
function withTrailingBits(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  return text.replace(/(.)=:$/, (_all, last: string) => `${alphabet[alphabet.indexOf(last) + 1]}=:`)
}

describe('a value of a signature has only one spelling', () => {
  it('the signed one passes', () => {
    expect(verdict(input, signature)).toMatchObject({ ok: true })
  })

  it.each([
    ['a decimal without a fraction', input.replace(`created=${CREATED}`, `created=${CREATED}.0`)],
    ['a decimal of three zeros', input.replace(`created=${CREATED}`, `created=${CREATED}.000`)],
    ['a leading zero', input.replace(`created=${CREATED}`, `created=0${CREATED}`)],
    ['leading zeros of `expires`', input.replace('expires=', 'expires=00')],
    ['a boolean written out', input.replace('"x-a"', '"x-a";bs=?1')],
  ])('%s is refused', (_what, changed) => {
    expect(changed).not.toBe(input)
    expect(verdict(changed, signature)).toMatchObject({
      ok: false,
      code: 'SIGNATURE_INVALID',
      detail: INPUT_PROBLEM,
    })
  })

  it.each([
    ['a plus sign', `+${CREATED}`],
    ['an exponent', '175e7'],
    ['a date', `@${CREATED}`],
    ['a string', `"${CREATED}"`],
    ['a fraction', `${CREATED}.5`],
    ['minus zero', '-0'],
  ])('an integer as %s is refused', (_what, spelled) => {
    const changed = input.replace(`created=${CREATED}`, `created=${spelled}`)
    expect(verdict(changed, signature)).toMatchObject({ ok: false, code: 'SIGNATURE_INVALID' })
  })

  it.each([
    ['without padding', signature.replace('=:', ':')],
    ['with padding of two characters', signature.replace('=:', '==:')],
    ['with bits that belong to no byte', withTrailingBits(signature)],
    ['with a boolean parameter', `${signature};a`],
  ])('base64 %s is refused', (_what, changed) => {
    expect(changed).not.toBe(signature)
    expect(verdict(input, changed)).toMatchObject({ ok: false, code: 'SIGNATURE_INVALID' })
  })

  it('the detail mentions base64', () => {
    expect(verdict(input, withTrailingBits(signature))).toMatchObject({ detail: SIGNATURE_PROBLEM })
  })

  it.each([
    ['blanks between components', input.replace('" "', '"   "')],
    ['blanks at the ends of a list', input.replace('("', '(  "').replace('")', '"  )')],
    ['blanks after a semicolon', input.replaceAll(';', '; ')],
    ['blanks around the header', ` ${input} `],
  ])('%s do not matter, because they are not part of a value', (_what, changed) => {
    expect(changed).not.toBe(input)
    expect(verdict(changed, signature)).toMatchObject({ ok: true })
  })

  it('the signature of somebody else may have any spelling', () => {
    const theirs = `proxy=("@method");created=01.50;keyid="p";nonce="nonce-of-16-char"`
    expect(verdict(`${theirs}, ${input}`, `proxy=:AAA:, ${signature}`)).toMatchObject({
      ok: true,
      label: 'sig1',
    })
  })

  it('the fast scanner accepts nothing that the plain parser refuses, with changed signatures', () => {
    const characters = fc.constantFrom(...'0123456789+-.=:;,?@"()% \tabAQgw/_', '')
    const change = fc.tuple(fc.nat(), fc.nat({ max: 2 }), fc.array(characters, { maxLength: 3 }))
    const changed = (text: string) =>
      fc.array(change, { maxLength: 2 }).map((changes) =>
        changes.reduce((before, [position, drop, put]) => {
          const at = position % (before.length + 1)
          return before.slice(0, at) + put.join('') + before.slice(at + drop)
        }, text),
      )
    let scanned = 0
    let passed = 0
    fc.assert(
      fc.property(changed(input), changed(signature), (one, other) => {
        const answer = scanSignature(one, other)
        if (answer !== undefined) {
          scanned++
          // The outline caches the head of its last base.
          const { label, tag, shape: _shape, outline: _outline, ...content } = answer
          expect(parseSignatures([one], [other])).toMatchObject([
            { label, keyId: content.keyId, tag, content },
          ])
        }
        // Everything that passes has the same meaning, except blanks.
        if ('ok' in verdict(one, other) && (verdict(one, other) as { ok: boolean }).ok) {
          passed++
          const bare = (text: string): string => text.replace(/[ \t]/g, '')
          expect([bare(one), bare(other)]).toEqual([bare(input), bare(signature)])
        }
      }),
      { numRuns: runs(10_000) },
    )
    expect(scanned).toBeGreaterThan(runs(200))
    expect(passed).toBeGreaterThan(runs(200))
  })

  it('a header that is too complex is refused before it is parsed', () => {
    const labels = Array.from({ length: 5 }, (_, at) => `s${at}=!`).join()
    expect(readSignatures([labels], [labels])).toEqual({ problem: 'there are more than 4 signatures' })
    const parameters = `s=(${';!'.repeat(257)}`
    expect(readSignatures([parameters], ['s=:AA==:'])).toEqual({
      problem: 'there are more than 256 parameters',
    })
  })
})
