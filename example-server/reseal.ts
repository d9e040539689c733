import { keysInUse, reseal, type PlaceReport, type ResealReport, type SealedHolder } from 'portcullis/vault'
import type { Homes } from './homes.ts'
import { createLog } from './log.ts'
import { openStorage } from './open-storage.ts'
import { createPersonalFields } from './people.ts'
import { indexVaultOf, vaultOf } from './secrets.ts'
import { readSettings, SettingError, type Settings } from './settings.ts'

/**
 * Encrypts data again with the active key if another key encrypted it. You can stop and restart it at any time, and
 * servers may run meanwhile. Prints progress to stderr and the report to stdout. Exit code 0 means that no other key is
 * needed.
 *
 * Run with `npm run reseal`, with the settings of the server; `npm run reseal -- --check` changes nothing.
 */
const PROGRESS_EACH = 1_000

const [argument, ...more] = process.argv.slice(2)
if ((argument !== undefined && argument !== '--check') || more.length > 0) {
  console.error('Usage: npm run reseal, or npm run reseal -- --check')
  process.exit(2)
}

/** The holders of people's keys: one for each jurisdiction, or a single one if all share one storage. */
function peopleOf(homes: Homes, settings: Settings): readonly SealedHolder[] {
  const [vault, indexVault] = [vaultOf(settings.secrets), indexVaultOf(settings.secrets)]
  const areApart = homes.all.every((home) => home.keys !== homes.all[0]?.keys || home === homes.all[0])
  return (areApart ? homes.all : homes.all.slice(0, 1)).map((home) => {
    const places = createPersonalFields(home, vault, indexVault).sealedPlaces()
    const named = places.map((place) =>
      areApart ? { ...place, name: `${place.name} of ${home.jurisdiction}` } : place,
    )
    return { sealedPlaces: () => named }
  })
}

/** Prints the progress about once a second. */
function createProgress(): (report: PlaceReport) => void {
  let next = Date.now() + PROGRESS_EACH
  return ({ name, looked, resealed }) => {
    if (Date.now() < next) return
    next = Date.now() + PROGRESS_EACH
    console.error(`${name}: ${looked} looked at, ${resealed} encrypted again`)
  }
}

function textOf({ places, sealedBy, done }: ResealReport, active: string, away: readonly string[]): string {
  const counts = (all: Readonly<Record<string, number>>): string =>
    Object.entries(all)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'nothing'
  const width = Math.max(...places.map(({ name }) => name.length))
  const rows = places.map(({ name, looked, resealed, unreadable }) => {
    const problems = Object.keys(unreadable).length === 0 ? '' : `, unreadable: ${counts(unreadable)}`
    return `${name.padEnd(width)}  ${looked} looked at, ${resealed} encrypted again${problems}`
  })
  const others = Object.keys(sealedBy).filter((id) => id !== active)
  const end =
    done && away.length === 0
      ? 'Done: none of the data above needs another key.'
      : [
          'Not done.',
          ...(others.length === 0 ? [] : [`Still needed: ${others.join(', ')}.`]),
          ...(away.length === 0 ? [] : [`Not up to date, or unreachable: ${away.join(', ')}.`]),
          'Run it again.',
        ].join(' ')
  return [
    `Key: ${active}`,
    ...rows,
    `Encrypted by: ${counts(sealedBy)}`,
    'Not checked: forms in the URLs of browsers, which expire after ten minutes.',
    end,
  ].join('\n')
}

/** Resolves with whether no other key is needed any longer. */
async function run(settings: Settings, signal: AbortSignal): Promise<boolean> {
  if (settings.redisUrl === undefined && Object.keys(settings.regionRedisUrls).length === 0) {
    throw new SettingError(
      'REDIS_URL, or the Redis URLs of the locations, must be set, because data in memory is not kept; it is ""',
    )
  }
  if (settings.secretsAreTemporary)
    throw new SettingError('SECRET_KEY must be set, because it names the keys in Redis; it is ""')
  const kept = await openStorage(settings, createLog({ production: settings.production }))
  try {
    const vault = vaultOf(settings.secrets)
    const holders = [...kept.sealed, ...peopleOf(kept.homes, settings)]
    const go = argument === '--check' ? keysInUse : reseal
    const report = await go({ vault, holders, onProgress: createProgress(), signal })
    // An unreachable location still stores the old data. It receives the new data when it is reachable again.
    const locations = await kept.homes.locations()
    const away = locations.filter(({ condition }) => condition !== 'current').map(({ location }) => location)
    const active = vault.keys.find(({ state }) => state === 'active')?.id ?? ''
    console.log(textOf(report, active, away))
    return report.done && away.length === 0
  } finally {
    kept.close()
  }
}

const ending = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())
try {
  process.exitCode = (await run(readSettings(process.env), ending.signal)) ? 0 : 1
} catch (error) {
  if (error instanceof SettingError) console.error(`Cannot start: ${error.message}`)
  else console.error(`Not done: ${(error as Error).message}. Run it again.`)
  process.exit(1)
}
