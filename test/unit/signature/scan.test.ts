import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { parseSignatures, readSignatures } from '../../../src/signature/fields.ts'
import { rememberShape, scanSignature, type ScannedSignature } from '../../../src/signature/scan.ts'
import { runs } from '../../support/runs.ts'

const MAC = `:${Buffer.alloc(32, 7).toString('base64')}:`
const PLAIN =
  'sig1=("@method" "@authority" "@path" "@query" "content-digest");created=1750000000;expires=1750000060;keyid="key-1";nonce="nonce-of-16-char";alg="hmac-sha256";tag="a (b);c=1, d"'

const REQUIRED = ';created=0;keyid="k";nonce="nonce-of-16-char"'

/** Whether the scanner agrees with the parser. */
function agrees(input: string, signature: string): boolean {
  if (scanSignature(input, signature) === undefined) return false
  const { label, tag, shape: _shape, ...content } = scanSignature(input, signature) as ScannedSignature
  expect([{ label, keyId: content.keyId, tag, content }]).toEqual(parseSignatures([input], [signature]))
  expect(readSignatures([input], [signature])).toMatchObject([{ label, keyId: content.keyId, tag }])
  return true
}

describe('the scanner of plain signatures', () => {
  it.each([
    [PLAIN, `sig1=${MAC}`],
    [`a=()${REQUIRED}`, `a=${MAC}`],
    [`*=("a")${REQUIRED}`, `*=${MAC}`],
    [`s=("a")${REQUIRED};tag=""`, `s=:${Buffer.alloc(64, 200).toString('base64')}:`],
  ])('agrees with the parser for %s', (input, signature) => {
    expect(agrees(input, signature)).toBe(true)
  })

  it.each([
    ['', ''],
    [` ${REQUIRED}`, `=${MAC}`],
    [REQUIRED, `=${MAC}`],
    ['sig1', `sig1=${MAC}`],
    [`${PLAIN} `, `sig1=${MAC}`],
    [` ${PLAIN}`, `sig1=${MAC}`],
    [PLAIN.replace(';', '; '), `sig1=${MAC}`],
    [PLAIN.replace('" "', '"  "'), `sig1=${MAC}`],
    [PLAIN.replace('("', '( "'), `sig1=${MAC}`],
    [PLAIN.replace('"@path"', '"@path";sf'), `sig1=${MAC}`],
    [PLAIN.replace('"@path"', '"@pa\\"th"'), `sig1=${MAC}`],
    [PLAIN.replace('"@path"', '"@Path"'), `sig1=${MAC}`],
    [PLAIN.replace('"@path"', '@path'), `sig1=${MAC}`],
    [`${PLAIN};created=1`, `sig1=${MAC}`],
    [`${PLAIN};other=1`, `sig1=${MAC}`],
    [`${PLAIN};tag`, `sig1=${MAC}`],
    [`${PLAIN};`, `sig1=${MAC}`],
    [`${PLAIN}, sig2=()`, `sig1=${MAC}, sig2=${MAC}`],
    [PLAIN, `sig2=${MAC}`],
    [PLAIN, `sig1=${MAC};a`],
    [PLAIN, 'sig1=:AA==:'],
    [PLAIN, `sig1=${MAC.replace('=', '')}`],
    [PLAIN.replace('1750000000', '1750000000000000'), `sig1=${MAC}`],
    [PLAIN.replace('1750000000', '-1'), `sig1=${MAC}`],
    [PLAIN.replace('=1750000000', '=01750000000'), `sig1=${MAC}`],
    [PLAIN.replace('1750000000', '1750000061'), `sig1=${MAC}`],
    [PLAIN.replace('"key-1"', '"key 1"'), `sig1=${MAC}`],
    [PLAIN.replace('nonce-of', ''), `sig1=${MAC}`],
    [PLAIN.replace(';keyid="key-1"', ''), `sig1=${MAC}`],
    [PLAIN, `sig1=${MAC.replace('Bw', '-w')}`],
    [PLAIN, `sig1=${MAC.replace('Bw', '_w')}`],
    [PLAIN, `sig1=${MAC.replace('Bw', ' w')}`],
    // The low byte of this character equals the replaced one.
    [PLAIN, `sig1=${MAC.replace('B', '\u0142')}`],
    [PLAIN, `sig1=${MAC.replace('w', '\u2077')}`],
    [PLAIN, `sig1=${MAC.replace('Bw', '=w')}`],
    [PLAIN.replace('1750000000', '1.5'), `sig1=${MAC}`],
    [PLAIN.replace('"key-1"', '"key\\\\1"'), `sig1=${MAC}`],
    [PLAIN.replace('"key-1"', '"kéy"'), `sig1=${MAC}`],
    [PLAIN.replace('"key-1"', '"key'), `sig1=${MAC}`],
  ])('leaves %s to the parser', (input, signature) => {
    expect(agrees(input, signature)).toBe(false)
  })

  const pieces = fc.constantFrom(
    'sig1', 's', '=', '(', ')', '"', '"@method"', '"a"', ' ', ';', ',', 'created', 'keyid="k"', ';nonce="n"', ';tag="t"',
    '=17', '1', '\\', '\t', '?1', 'a', '*', ':', '()', ';expires=5', ';alg="x"', 'é', '-', '.', '%"',
  ) // prettier-ignore
  const edits = fc.array(
    fc.tuple(fc.nat(), fc.nat({ max: 3 }), fc.oneof(pieces, fc.string({ maxLength: 2 }))),
    {
      maxLength: 3,
    },
  )
  const edited = (text: string) =>
    edits.map((changes) =>
      changes.reduce((before, [position, drop, put]) => {
        const at = position % (before.length + 1)
        return before.slice(0, at) + put + before.slice(at + drop)
      }, text),
    )

  it('caches only verified signatures, so that a stranger can evict nothing', () => {
    const shapeOf = (label: string) =>
      (scanSignature(PLAIN.replace('sig1', label), `${label}=${MAC}`) as ScannedSignature).shape
    expect(shapeOf('s1')).not.toBe(shapeOf('s1'))
    const held = shapeOf('s2')
    rememberShape(held)
    for (let at = 0; at < 1000; at++) shapeOf(`stranger-${at}`)
    expect(shapeOf('s2')).toBe(held)
  })

  it('agrees with the parser whenever it answers', () => {
    let answered = 0
    const wild = fc.array(pieces, { maxLength: 24 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(
        fc.oneof(
          { weight: 5, arbitrary: edited(PLAIN) },
          { weight: 1, arbitrary: wild },
          { weight: 1, arbitrary: wild.map((rest) => `sig1=${rest}`) },
        ),
        fc.oneof({ weight: 3, arbitrary: fc.constant(`sig1=${MAC}`) }, edited(`sig1=${MAC}`)),
        (input, signature) => {
          if (agrees(input, signature)) answered++
        },
      ),
      { numRuns: runs(20_000) },
    )
    // Otherwise the test has compared nothing.
    expect(answered).toBeGreaterThan(runs(1000))
  })
})
