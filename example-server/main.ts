import { randomBytes } from 'node:crypto'
import { createPolicySource } from 'portcullis'
import { createMetrics, createReadiness } from 'portcullis/metrics'
import { createExampleApp } from './app.ts'
import { banner, notesOf } from './banner.ts'
import { createDemoApps, DEMO_APPS } from './demo-apps.ts'
import { listen, serve } from './instances.ts'
import { installLastResort } from './last-resort.ts'
import { createLog, type Log } from './log.ts'
import { printingMailer, smtpMailer } from './mail.ts'
import { openStorage } from './open-storage.ts'
import { vaultOf } from './secrets.ts'
import { readSettings, SettingError, type Settings } from './settings.ts'
import { createUkey1 } from './ukey1.ts'

/** How long requests may take to finish when the server is told to stop, in milliseconds. */
const SHUTDOWN_LIMIT = 4_000

async function start(settings: Settings, log: Log): Promise<void> {
  const { production, secrets, smtpUrl, mailFrom, ukey1Apps } = settings
  const kept = await openStorage(settings, log)
  const instances = await listen(settings, log).catch((error: unknown) => {
    kept.close()
    throw error
  })
  const policies = createPolicySource({ store: kept.store })
  const metrics = createMetrics({ policies, regions: { status: () => kept.homes.status?.() ?? [] } })
  const readiness = createReadiness({ policies, sink: kept.sink })

  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    // Load balancers stop sending requests, while the running ones finish.
    readiness.drain()
    // Running requests may finish. Idle connections are closed at once.
    const closed = instances.map(({ server }) => new Promise((resolve) => server.close(resolve)))
    void Promise.all(closed).then(() => {
      policies.close()
      kept.close()
    })
    setTimeout(() => {
      for (const { server } of instances) server.closeAllConnections()
    }, SHUTDOWN_LIMIT).unref()
  }
  installLastResort(log, stop)
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)

  const ukey1 =
    ukey1Apps.length === 0
      ? undefined
      : createUkey1({ storage: kept.storage, vault: vaultOf(secrets), apps: ukey1Apps })
  const whyToken = production ? undefined : randomBytes(16).toString('base64url')
  for (const instance of instances) {
    const others = instances.filter((other) => other !== instance).map(({ location, url }) => [location, url])
    const otherUrls = { ...settings.regionUrls, ...(Object.fromEntries(others) as Record<string, string>) }
    const app = await createExampleApp({
      ...kept,
      settings,
      policies,
      metrics,
      readiness,
      region: instance.location,
      mail: smtpUrl === undefined ? printingMailer(console.log) : smtpMailer(smtpUrl, mailFrom, log),
      mailsArePrinted: smtpUrl === undefined,
      log,
      ukey1,
      demoApps: production ? [] : DEMO_APPS,
      whyToken,
      consoleToken: settings.consoleToken,
      publicUrl: () => instance.url,
      otherUrls: () => otherUrls,
      onFault: (error) =>
        log('fault', { fault: error instanceof Error ? (error.stack ?? error.message) : typeof error }),
    })
    serve(instance, app)
  }

  const urls = instances.map(({ url }) => url)
  const demo = production ? undefined : await createDemoApps(kept.store, urls)
  const notes = await notesOf(settings, ukey1, kept.othersOnly)
  const consoleToken = production ? undefined : settings.consoleToken
  console.log(banner({ instances, demo, notes, whyToken, consoleToken }))
}

try {
  const settings = readSettings(process.env)
  await start(settings, createLog({ production: settings.production }))
} catch (error) {
  console.error(error instanceof SettingError ? `Cannot start: ${error.message}` : error)
  process.exit(1)
}
