import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { readCheckpoint, signCheckpoint } from '../../../../src/audit/proof/checkpoint.ts'
import { parseVerifierKey, readNote, signNote, verifierKey } from '../../../../src/audit/proof/note.ts'
import { UnreadableError } from '../../../../src/errors.ts'
import { KEY, newKey, ORIGIN } from './made-log.ts'

/** The example in the documentation of Go's `note` package, on which C2SP `signed-note` is based. */
const peter = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const example = `If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`

describe('signed notes', () => {
  it('of another implementation are read, and its key has the same format', () => {
    const key = parseVerifierKey(peter)
    expect(key).toBeDefined()
    if (key === undefined) return
    expect(verifierKey(key)).toBe(peter)
    expect(readNote(example, [key])).toEqual({
      text: example.slice(0, example.indexOf('\n\n') + 1),
      isSigned: true,
    })
    expect(() => readNote(example.replace('answer', 'cause'), [key])).toThrow(UnreadableError)
    expect(readNote(example, [KEY]).isSigned).toBe(false)
  })

  it('keep the signatures of others', () => {
    const cosigned = `${signNote('a\n', KEY)}${signNote('a\n', newKey('witness')).split('\n\n')[1] ?? ''}`
    expect(readNote(cosigned, [KEY])).toEqual({ text: 'a\n', isSigned: true })
  })

  it('are refused if they are malformed', () => {
    for (const note of [
      '',
      'a',
      'a\n',
      'a\n\n',
      '\n\n— a b\n',
      'a\n\n- name AAAAAAAA\n',
      'a\n\n— name AAAA\n',
      'a\n\n— name AAAAAAAA',
    ])
      expect(() => readNote(note, [KEY])).toThrow(UnreadableError)
  })

  it('have keys with only one spelling', () => {
    const line = verifierKey(KEY)
    expect(verifierKey(parseVerifierKey(line) ?? newKey())).toBe(line)
    for (const wrong of [
      line.slice(1),
      line.slice(0, -1),
      `${line}=`,
      line.replace(ORIGIN, 'x'),
      'a+00000000+AQ==',
    ])
      expect(parseVerifierKey(wrong)).toBeUndefined()
  })
})

describe('checkpoints', () => {
  it('are not read if any byte is changed', () => {
    const note = signCheckpoint({ origin: ORIGIN, size: 7, root: Buffer.alloc(32, 7) }, KEY)
    for (let at = 0; at < Buffer.byteLength(note); at += 1)
      for (const bit of [1, 2, 4, 8, 16, 32, 64]) {
        const bytes = Buffer.from(note)
        bytes[at] = (bytes[at] ?? 0) ^ bit
        expect(() => readCheckpoint(bytes.toString(), [KEY])).toThrow(UnreadableError)
      }
  })

  it('are read in only one base64 spelling, although the last character has unused bits', () => {
    const note = signCheckpoint({ origin: ORIGIN, size: 7, root: Buffer.alloc(32, 7) }, KEY)
    const [, before = '', last = '', after = ''] = /^(.*)([^=])(=+\n)$/s.exec(note) ?? []
    const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    const read = [...digits].filter((digit) => {
      try {
        return readCheckpoint(before + digit + after, [KEY]).size === 7
      } catch {
        return false
      }
    })
    expect(read).toEqual([last])
  })

  it('are read exactly as they were signed', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 31 - 1),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat(),
        (size, root, where) => {
          const checkpoint = { origin: ORIGIN, size, root: Buffer.from(root) }
          const note = signCheckpoint(checkpoint, KEY)
          expect(readCheckpoint(note, [newKey(), KEY])).toEqual(checkpoint)
          const bytes = Buffer.from(note)
          bytes[where % bytes.length] = (bytes[where % bytes.length] ?? 0) ^ 1
          expect(() => readCheckpoint(bytes.toString(), [KEY])).toThrow(UnreadableError)
        },
      ),
    )
  })

  it('have three lines, as C2SP `tlog-checkpoint` says', () => {
    const note = signCheckpoint({ origin: ORIGIN, size: 7, root: Buffer.alloc(32) }, KEY)
    expect(note).toMatch(/^example\.org\/audit\n7\nA{43}=\n\n— example\.org\/audit [A-Za-z0-9+/]{91}=\n$/)
  })

  it('are refused if they are signed notes but not checkpoints', () => {
    const root = Buffer.alloc(32).toString('base64')
    for (const text of [
      'a\n',
      'a\n07\nx\n',
      `a\n-1\n${root}\n`,
      `a\n01\n${root}\n`,
      `\n1\n${root}\n`,
      'a\n1\nAAAA\n',
    ])
      expect(() => readCheckpoint(signNote(text, KEY), [KEY])).toThrow(UnreadableError)
    const unknown = { ...KEY, key: generateKeyPairSync('ed25519').privateKey }
    expect(() => readCheckpoint(signNote(`a\n1\n${root}\n`, unknown), [KEY])).toThrow(
      'not signed by any known key',
    )
  })
})
