/** Common middleware with similar tasks to the guards. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import cors from 'cors'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import ipFilter from 'express-ipfilter'
import helmet from 'helmet'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { pinoHttp } from 'pino-http'
import { APP_ID, FOREIGN_RANGES, KEY, ORIGINS, RANGES, RETURN_URLS } from './traffic.ts'

/** The settings of an app in the glued stack. */
interface Settings {
  readonly secret: string
  readonly origins: readonly string[]
  readonly returnUrls: readonly string[]
}

/** A request whose app the stack has found. */
interface KnownRequest extends Request {
  settings?: Settings
}

export const logger = (): RequestHandler => pinoHttp({ logger: pino(pino.destination('/dev/null')) })

export const pages = (): RequestHandler =>
  cors({ origin: (origin, found) => found(null, origin !== undefined && ORIGINS.includes(origin)) })

export const addresses = (ranges: readonly string[] = RANGES): RequestHandler =>
  ipFilter.IpFilter([...ranges], { mode: 'allow', log: false })

export { helmet }

export interface GlueOptions {
  /** The Redis from which the settings of the app are read for each request. Default: settings are in memory. */
  readonly redisUrl?: string
  /** Whether the ranges exclude the caller. */
  readonly refuses?: boolean
}

/** A typical hand-made stack: headers, settings, origins, addresses, signature, return URL. */
export async function glued({ redisUrl, refuses = false }: GlueOptions = {}): Promise<unknown[]> {
  const settings: Settings = { secret: KEY.secret, origins: ORIGINS, returnUrls: RETURN_URLS }
  const settle = redisUrl === undefined ? fromMemory(settings) : await fromRedis(settings, redisUrl)
  return [
    helmet(),
    settle,
    (req: KnownRequest, res: Response, next: NextFunction) =>
      cors({
        origin: (origin, found) =>
          found(null, origin !== undefined && req.settings?.origins.includes(origin) === true),
      })(req, res, next),
    addresses(refuses ? FOREIGN_RANGES : RANGES),
    refuseAddress,
    checkSignature,
    checkReturnUrl,
  ]
}

function fromMemory(settings: Settings): RequestHandler {
  return (req: KnownRequest, res, next) => {
    if (req.get('x-app-id') !== APP_ID) {
      res.status(401).json({ error: 'app' })
      return
    }
    req.settings = settings
    next()
  }
}

async function fromRedis(settings: Settings, url: string): Promise<RequestHandler> {
  const redis = new Redis(url)
  await redis.set(`settings:${APP_ID}`, JSON.stringify(settings))
  return (req: KnownRequest, res, next) => {
    redis.get(`settings:${req.get('x-app-id') ?? ''}`).then((found) => {
      if (found === null) {
        res.status(401).json({ error: 'app' })
        return
      }
      req.settings = JSON.parse(found) as Settings
      next()
    }, next)
  }
}

function refuseAddress(error: unknown, _req: Request, res: Response, next: NextFunction): void {
  if (error instanceof ipFilter.IpDeniedError) res.status(403).json({ error: 'address' })
  else next(error)
}

const LONGEST = 300

function checkSignature(req: KnownRequest, res: Response, next: NextFunction): void {
  const time = req.get('x-timestamp') ?? ''
  const given = Buffer.from(req.get('x-signature') ?? '', 'hex')
  const text = `${time}\n${req.method}\n${req.originalUrl}`
  const expected = createHmac('sha256', req.settings?.secret ?? '')
    .update(text)
    .digest()
  const isRecent = Math.abs(Date.now() / 1000 - Number(time)) < LONGEST
  if (isRecent && given.length === expected.length && timingSafeEqual(given, expected)) next()
  else res.status(401).json({ error: 'signature' })
}

function checkReturnUrl(req: KnownRequest, res: Response, next: NextFunction): void {
  const { return_url: given } = req.query
  if (typeof given === 'string' && URL.canParse(given)) {
    const { href } = new URL(given)
    if (req.settings?.returnUrls.some((url) => href.startsWith(url)) === true) {
      next()
      return
    }
  }
  res.status(400).json({ error: 'return url' })
}
