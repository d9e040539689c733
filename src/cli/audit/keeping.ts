import { verifyLog } from '../../audit/proof/verify.ts'
import { erasePeople, searchTraces } from '../../audit/retention/erase.ts'
import { retainLog } from '../../audit/retention/retain.ts'
import { rewriteRedis } from '../../redis/rewrite.ts'
import { CommandUsageError, EXIT, requiredText, textOf, textsOf } from '../command.ts'
import { allFrames, checkpointsOf, secretOf, withLog } from './connection.ts'
import { documentOf, isJson } from '../output.ts'

export const verify = withLog(
  async (invocation, log) => {
    const { values, env, out, error } = invocation
    const { checkpoints, keys } = await checkpointsOf(invocation)
    const start = textOf(values, 'archive') === undefined ? await log.store.start() : undefined
    const frameKey = secretOf(env, 'PORTCULLIS_FRAME_KEY')
    const report = await verifyLog({
      frames: allFrames(invocation, log),
      checkpoints,
      keys,
      start,
      origin: textOf(values, 'origin'),
      ...(frameKey === undefined ? {} : { frameKey }),
      onProgress: (frames) => void (frames % 65_536 === 0 && frames > 0 && error(`${frames} frames\n`)),
    })
    if (isJson(invocation)) await out(documentOf(report))
    else {
      for (const { code, at, detail } of report.problems) await out(`${code}  at ${at}: ${detail}\n`)
      await out(
        `${report.frames} frames, ${report.events} events, ${report.writers} writers, ${report.checkpoints} valid checkpoints, ` +
          `${report.sealed} frames sealed: ${report.found === 0 ? 'no problems' : `${report.found} problems`}\n`,
      )
      if (checkpoints.length === 0)
        error('without --checkpoints, a truncated log or a removed writer goes unnoticed\n')
    }
    return report.found === 0 ? EXIT.ok : EXIT.no
  },
  { records: false },
)

export const erase = withLog(async (invocation, log) => {
  const { values, positionals, out, error } = invocation
  const { people, store, redis } = log
  if (people === undefined)
    throw new CommandUsageError('PORTCULLIS_VAULT_KEY is not set: it decrypts the keys of people')
  const directories = textsOf(values, 'prove')
  const erased = await erasePeople(positionals, {
    store,
    people,
    pseudonymKey: log.pseudonymKey(),
    sink: log.log,
    purpose: textOf(values, 'purpose'),
    rewrite: () => rewriteRedis(redis),
  })
  const traces = await searchTraces(directories, erased.traces)
  if (isJson(invocation)) await out(documentOf({ people: erased.people, secrets: erased.secrets, traces }))
  else {
    await out(`${erased.people} people erased, ${erased.secrets} secrets destroyed, Redis files rewritten\n`)
    for (const { path, form } of traces) await out(`found in ${path} (${form})\n`)
    if (directories.length > 0 && traces.length === 0) await out('no trace of them was found\n')
  }
  if (traces.length > 0) return EXIT.failed
  if (erased.people === 0) error('the log has no secrets of these people\n')
  return erased.people === 0 ? EXIT.no : EXIT.ok
})

export const retain = withLog(async (invocation, log) => {
  const { values, out } = invocation
  const archive = requiredText(values, 'archive')
  const age = requiredText(values, 'days')
  const days = Number(age)
  if (!Number.isFinite(days) || days < 0)
    throw new CommandUsageError(`\`--days\` must be a number of at least 0, got \`${age}\``)
  requiredText(values, 'checkpoints')
  const { checkpoints, keys } = await checkpointsOf(invocation)
  const before = Date.now() - days * 86_400_000
  const { frames, start } = await retainLog({
    store: log.store,
    archive,
    before,
    checkpoints,
    keys,
    sink: log.log,
  })
  await out(
    isJson(invocation)
      ? documentOf({ frames, start: start?.size ?? 0 })
      : `${frames} frames moved to ${archive}\n`,
  )
  return frames === 0 ? EXIT.no : EXIT.ok
})
