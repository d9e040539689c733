import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { UnreadableError } from 'portcullis'
import { readEvents, serialiseEvent, type AuditEvent } from 'portcullis/audit'

const event = (id: string): AuditEvent => ({
  version: 1,
  kind: 'field',
  id,
  time: '2026-01-01T00:00:00.000Z',
  requestId: 'größe',
  appId: 'a',
  person: 'p',
  field: 'email',
  reads: 1,
})

async function idsIn(chunks: readonly (string | Uint8Array)[]): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of readEvents(chunks)) ids.push(id)
  return ids
}

describe('readEvents', () => {
  const ids = ['one', 'two', 'three']
  const text = ids.map((id) => `${serialiseEvent(event(id))}\n`).join('')

  it('reads the output of serialiseEvent in any chunking', async () => {
    const bytes = Buffer.from(text)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length]
        const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end))
        expect(await idsIn(chunks)).toEqual(ids)
      }),
    )
  })

  it('ignores an incomplete last line', async () => {
    expect(await idsIn([text, serialiseEvent(event('four')).slice(0, 20)])).toEqual(ids)
  })

  it('names the line that is not an event, without showing it', async () => {
    await expect(idsIn([text, 'hush\n'])).rejects.toThrow(UnreadableError)
    await expect(idsIn([text, 'hush\n'])).rejects.toThrow('line 4 is not an audit event')
  })
})
