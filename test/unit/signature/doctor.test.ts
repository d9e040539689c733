import { createHmac } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { MOST_TRIED_CHARACTERS } from '../../../src/signature/budget.ts'
import { diagnose } from '../../../src/signature/doctor.ts'
import type { VerifierKey } from '../../../src/signature/keys.ts'
import { verifyMessage, type SignedMessage } from '../../../src/signature/verify.ts'
import { KEYS, messageOf, NOW, RULES, SECRET } from './message.ts'

const COMPONENTS = '("@method" "@authority" "@path" "@query" "x-a")'
const OPTIONS = { signedBase: undefined, thorough: false }

/** A message whose signer has signed this value as `@path` instead of `/a`. */
function signedPath(path: string, xA = 'b'): SignedMessage & { readonly asked: readonly string[] } {
  const input = `${COMPONENTS};created=${Math.floor(NOW / 1000)};keyid="key-1";nonce="nonce-of-16-char"`
  const base = `"@method": GET\n"@authority": a.example\n"@path": ${path}\n"@query": ?b=c\n"x-a": ${xA}\n"@signature-params": ${input}`
  const mac = createHmac('sha256', Buffer.from(SECRET, 'base64')).update(base).digest('base64')
  const message = messageOf({
    method: 'GET',
    authority: 'a.example',
    target: '/a?b=c',
    headers: { 'x-a': xA, 'signature-input': `sig1=${input}`, signature: `sig1=:${mac}:` },
  })
  const asked: string[] = []
  const header = (name: string): readonly string[] => {
    asked.push(name)
    return message.header(name)
  }
  return { ...message, header, asked }
}

describe('the search for the mistake of a signer', () => {
  it('reuses what the verifier has read', () => {
    const message = signedPath('/a?b=c')
    expect(verifyMessage(message, KEYS, RULES, NOW)).toMatchObject({ code: 'SIGNATURE_INVALID' })
    const before = message.asked.length
    expect(diagnose(message, KEYS, undefined, OPTIONS)).toMatchObject({
      components: ['@path'],
      mistake: '`@path` was signed with the query',
    })
    // The search also tries other hosts.
    expect(message.asked.slice(before)).toEqual(['host', 'x-forwarded-host'])
  })

  it('reads the message itself if the verifier did not', () => {
    expect(diagnose(signedPath('/a/'), KEYS, undefined, OPTIONS)).toMatchObject({
      mistake: '`@path` was signed with a trailing slash',
    })
  })

  it.each([10, 1_000, 5_000, 16_000])('stays within its budget, with a header of %i characters', (length) => {
    const message = signedPath('/somewhere/else', 'x'.repeat(length))
    let tried = 0
    const counting = (key: { holds(text: string, signature: string): boolean }) => ({
      holds(text: string, signature: string): boolean {
        tried += text.length
        return key.holds(text, signature)
      },
    })
    const [key] = KEYS as [VerifierKey]
    const counted = Object.assign(Object.create(key) as VerifierKey, {
      id: key.id,
      algorithm: key.algorithm,
      signatureLength: key.signatureLength,
      holds: (text: string, signature: string) => counting(key).holds(text, signature),
      takenForText: () => counting(key.takenForText()),
    })
    const { base, mistake } = diagnose(message, [counted], undefined, OPTIONS)
    expect(mistake).toBeUndefined()
    expect(tried).toBeGreaterThanOrEqual(base?.length ?? Infinity)
    // The base gets one line feed more, and each of its lines one carriage return.
    expect(tried).toBeLessThanOrEqual(MOST_TRIED_CHARACTERS + 10)
  })
})
