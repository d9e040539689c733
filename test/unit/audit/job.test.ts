import { describe, expect, it } from '@jest/globals'
import { createPseudonyms, type AuditEvent } from '../../../src/audit/event.ts'
import { runJob, type JobOptions } from '../../../src/audit/job.ts'
import { compileModels } from '../../../src/audit/models.ts'
import { createRecorder } from '../../../src/audit/recorder.ts'
import { Scope } from '../../../src/audit/scope.ts'
import { UnavailableError, UsageError } from '../../../src/errors.ts'

const pseudonymise = createPseudonyms(Buffer.alloc(32, 1))
const ROW = { id: 7, email: 'alice@example.org' }

function means(write: (events: readonly AuditEvent[]) => void | Promise<void> = () => undefined) {
  const kept: AuditEvent[] = []
  const recorder = createRecorder({
    sink: {
      async write(events) {
        await write(events)
        kept.push(...events)
      },
    },
  })
  const scope = new Scope()
  const models = compileModels('models', { user: { person: 'id' } })
  return { recorder, scope, kept, means: { recorder, pseudonymise, getters: new Map(), models, scope } }
}

const BY: JobOptions = { actor: 'mailer', why: 'newsletter' }

describe('runJob', () => {
  it('records reads with actor and purpose, and resolves after they are stored', async () => {
    const job = means()
    const result = await runJob(job.means, BY, async (audit) => {
      await Promise.resolve()
      return audit.rows('user', ROW).email
    })
    expect(result).toBe('alice@example.org')
    expect(job.kept).toMatchObject([
      {
        kind: 'field',
        field: 'email',
        record: 'user',
        purpose: 'newsletter',
        actor: pseudonymise('actor', 'mailer'),
        actorKind: 'system',
      },
    ])
  })

  it('is the current session for everything that it calls, and for nothing else', async () => {
    const job = means()
    const read = async (): Promise<string> => {
      await new Promise((resolve) => setImmediate(resolve))
      return job.scope.current.rows('user', ROW).email
    }
    await Promise.all([runJob(job.means, BY, read), runJob(job.means, { ...BY, why: 'billing' }, read)])
    expect(job.kept.map((event) => event.kind === 'field' && event.purpose)).toEqual([
      'newsletter',
      'billing',
    ])
    expect(new Set(job.kept.map(({ requestId }) => requestId)).size).toBe(2)
    await expect(read()).rejects.toThrow(UsageError)
  })

  it('names a member of staff as such', async () => {
    const job = means()
    await runJob(job.means, { actor: { id: 'ada', kind: 'staff' }, why: 'audit' }, (audit) =>
      audit.deleted('7'),
    )
    expect(job.kept).toMatchObject([
      { kind: 'action', action: 'delete', purpose: 'audit', actorKind: 'staff' },
    ])
  })

  it('rejects if events were not stored, even though the work was done', async () => {
    const job = means(() => Promise.reject(new Error('no disk')))
    await expect(runJob(job.means, BY, (audit) => audit.rows('user', ROW).email)).rejects.toThrow(
      UnavailableError,
    )
    await job.recorder.close().catch(() => undefined)
  })

  it('provides no further records while events wait', async () => {
    const job = means(() => Promise.reject(new Error('no disk')))
    const seen: string[] = []
    const work = runJob(job.means, BY, async (audit) => {
      seen.push(audit.rows('user', ROW).email)
      while (!job.recorder.failing) await new Promise((resolve) => setImmediate(resolve))
      seen.push(audit.rows('user', ROW).email)
    })
    await expect(work).rejects.toThrow(UnavailableError)
    expect(seen).toHaveLength(1)
    await job.recorder.close().catch(() => undefined)
  })

  it('rejects with the error of the work, after storing earlier reads', async () => {
    const job = means()
    const work = runJob(job.means, BY, (audit) => {
      void audit.rows('user', ROW).email
      throw new Error('of the job')
    })
    await expect(work).rejects.toThrow('of the job')
    expect(job.kept).toHaveLength(1)
  })

  for (const options of [
    { actor: 'mailer' },
    { why: 'x' },
    { actor: '', why: 'x' },
    { actor: {}, why: 'x' },
    { actor: 'x', why: ' ' },
  ])
    it(`refuses ${JSON.stringify(options)}`, async () => {
      await expect(runJob(means().means, options as JobOptions, () => 1)).rejects.toThrow(TypeError)
    })
})
