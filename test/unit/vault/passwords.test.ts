import { createHash } from 'node:crypto'
import { hashRawSync } from '@node-rs/argon2'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createPasswords, hashPassword, needsRehash, verifyPassword } from 'portcullis/vault'
import { argon2id, blake2b } from '../../support/argon2id.ts'

const fill = (length: number, value: number): Buffer => Buffer.alloc(length, value)

describe('the oracle for argon2id', () => {
  it('matches the test vector of RFC 9106, 5.3', () => {
    const input = { lanes: 4, memory: 32, passes: 3, length: 32 }
    const given = { password: fill(32, 1), salt: fill(16, 2), secret: fill(8, 3), associated: fill(12, 4) }
    expect(argon2id({ ...input, ...given }).toString('hex')).toBe(
      '0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659',
    )
  })

  it('has the same BLAKE2b as Node', () => {
    for (const length of [0, 1, 127, 128, 129, 300]) {
      const content = fill(length, 5)
      expect(blake2b(content, 64).toString('hex')).toBe(
        createHash('blake2b512').update(content).digest('hex'),
      )
    }
  })
})

describe('the library for argon2id', () => {
  it('agrees with the oracle', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 80 }),
        fc.uint8Array({ minLength: 8, maxLength: 32 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 16, max: 40 }),
        (password, salt, lanes, passes, memory) => {
          const raw = hashRawSync(password, {
            salt,
            parallelism: lanes,
            timeCost: passes,
            memoryCost: Math.max(memory, 8 * lanes),
          })
          const oracle = argon2id({
            password,
            salt,
            lanes,
            passes,
            memory: Math.max(memory, 8 * lanes),
            length: 32,
          })
          expect(raw.toString('hex')).toBe(oracle.toString('hex'))
        },
      ),
      { numRuns: 20 },
    )
  })
})

describe('hashPassword', () => {
  it('creates an argon2id hash with the costs of OWASP, a different one each time', async () => {
    const [one, other] = await Promise.all([hashPassword('correct horse'), hashPassword('correct horse')])
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(one).not.toBe(other)
    expect(needsRehash(one)).toBe(false)
  })

  it('is verified only with the right password, in any Unicode normalisation', async () => {
    const stored = await hashPassword('na\u00efve horse')
    expect(await verifyPassword(stored, 'nai\u0308ve horse')).toBe(true)
    for (const wrong of ['naive horse', 'na\u00efve hors', 'na\u00efve horse ', ''])
      expect([wrong, await verifyPassword(stored, wrong)]).toEqual([wrong, false])
    const decomposed = await hashPassword('nai\u0308ve horse')
    expect(await verifyPassword(decomposed, 'na\u00efve horse')).toBe(true)
  })

  it('counts every character of a long password', async () => {
    const stored = await hashPassword(`${'x'.repeat(4_000)}a`)
    expect(await verifyPassword(stored, `${'x'.repeat(4_000)}b`)).toBe(false)
    expect(await verifyPassword(stored, `${'x'.repeat(4_000)}a`)).toBe(true)
  })

  it.each(['', 'x'.repeat(4_097), undefined, 7])('refuses %j', async (password) => {
    await expect(hashPassword(password as string)).rejects.toMatchObject({ code: 'USAGE_INVALID' })
  })

  it('accepts an argon2id hash of another program', async () => {
    // From the tests of the reference implementation: `password`, `somesalt`, 2 passes of 64 MiB.
    const stored = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
    expect(await verifyPassword(stored, 'password')).toBe(true)
    expect(await verifyPassword(stored, 'Password')).toBe(false)
    expect(needsRehash(stored)).toBe(true)
  })

  const unreadable = [
    '',
    'correct horse',
    '$2b$10$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=16$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    // Costs that would take all memory, or all day.
    '$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    '$argon2id$v=19$m=19456,t=100000,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
  ]
  it.each(unreadable)('rejects %j as a hash, and verifies nothing with it', async (stored) => {
    await expect(verifyPassword(stored, 'password')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      unreadable: true,
    })
    expect(needsRehash(stored)).toBe(true)
  })
})

describe('createPasswords', () => {
  it('requests a new hash if the costs differ', async () => {
    const [before, after] = [createPasswords({ memory: 7_168, passes: 5 }), createPasswords()]
    const stored = await before.hash('correct horse')
    expect([before.needsRehash(stored), after.needsRehash(stored)]).toEqual([false, true])
    expect(await after.verify(stored, 'correct horse')).toBe(true)
  })

  it('does the same work for an unknown person: one hash, with the current costs', async () => {
    const passwords = createPasswords({ atOnce: 1 })
    const stored = await passwords.hash('correct horse')
    await passwords.verify(undefined, 'warm up')
    const cpuOf = async (hash: string | undefined): Promise<number> => {
      const begun = process.cpuUsage()
      for (let tries = 0; tries < 5; tries += 1) expect(await passwords.verify(hash, 'wrong')).toBe(false)
      const { user, system } = process.cpuUsage(begun)
      return user + system
    }
    const [nobody, somebody] = [await cpuOf(undefined), await cpuOf(stored)]
    expect(nobody / somebody).toBeGreaterThan(1 / 3)
    expect(nobody / somebody).toBeLessThan(3)
    expect(await passwords.verify(undefined, 'correct horse')).toBe(false)
  })

  it('does no more work for a text that is too long, whatever its characters', async () => {
    const passwords = createPasswords({ atOnce: 1 })
    const stored = await passwords.hash('correct horse')
    const cpuOf = async (password: string): Promise<number> => {
      const begun = process.cpuUsage()
      for (let tries = 0; tries < 3; tries += 1) expect(await passwords.verify(stored, password)).toBe(false)
      const { user, system } = process.cpuUsage(begun)
      return user + system
    }
    await cpuOf('warm up')
    // Normalising 100,000 such marks takes one or two seconds, a hundred times the work of a hash.
    const [long, short] = [await cpuOf('\u0301\u0323'.repeat(50_000)), await cpuOf('wrong')]
    expect(long / short).toBeGreaterThan(1 / 5)
    expect(long / short).toBeLessThan(5)
  })

  it('limits concurrent work, and refuses if too many wait', async () => {
    const passwords = createPasswords({ atOnce: 1, waiting: 2 })
    await passwords.verify(undefined, 'warm up')
    const order: number[] = []
    const four = Array.from({ length: 4 }, async (_, at) => {
      await passwords.hash('correct horse')
      order.push(at)
    })
    const ends = await Promise.allSettled(four)
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    expect((ends[3] as PromiseRejectedResult).reason).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'too many passwords are waiting to be hashed',
    })
    expect(order).toEqual([0, 1, 2])
    expect(await passwords.hash('correct horse')).toMatch(/^\$argon2id/)
  })

  it.each([
    [{ memory: 1_024 }, /`createPasswords.memory` must be a whole number of KiB from 7168/],
    [{ memory: 19_456, passes: 1 }, /`createPasswords` must be at least one of memory 47104 with passes 1/],
    [{ lanes: 0 }, /`createPasswords.lanes`/],
    [{ atOnce: 0 }, /`createPasswords.atOnce`/],
    [{ pases: 2 }, /unknown option `pases`: did you mean `passes`\?/],
  ])('refuses %j', (options, message) => {
    expect(() => createPasswords(options as object)).toThrow(message)
  })
})
