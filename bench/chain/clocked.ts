/**
 * Measures the time of a chain until it calls `next()`, inside a server that answers real requests. A header chooses
 * the middleware, so that one process measures all of them. The median over calls excludes interruptions by other
 * processes.
 */
import express, { type Express, type RequestHandler } from 'express'
import { least } from './least.ts'
import { helmet } from './peers.ts'
import { ANSWER, PATH } from './traffic.ts'
import { LEAST, protect, some, UNSIGNED, type Tools } from './variants.ts'

/** The header that chooses the middleware. Separate routes would change the signed target. */
export const CHOICE = 'x-bench-chain'
export const HELMET = 'helmet'
export const FOUR = 'four, unsigned, no audit'
export const SIX = 'six, signed'
export const NOTHING = 'nothing'

let times: Record<string, number[]> = {}

export function takeTimes(): Readonly<Record<string, readonly number[]>> {
  const taken = times
  times = {}
  return taken
}

export function clockedApp(tools: Tools): Express {
  const chains: Readonly<Record<string, readonly RequestHandler[]>> = {
    [NOTHING]: [(_req, _res, next) => next()],
    [HELMET]: [helmet()],
    [FOUR]: some(tools, UNSIGNED),
    [SIX]: [protect(tools) as RequestHandler],
    [LEAST]: [least()],
  }
  const app = express()
  app.get(PATH, (req, res) => {
    const name = req.get(CHOICE) ?? ''
    const chain = chains[name] ?? []
    const begun = process.hrtime.bigint()
    let index = 0
    const next = (error?: unknown): void => {
      if (error !== undefined) throw new Error('the chain failed', { cause: error })
      const step = chain[index]
      index += 1
      if (step !== undefined) {
        step(req, res, next)
        return
      }
      const taken = Number(process.hrtime.bigint() - begun)
      ;(times[name] ??= []).push(taken)
      res.json(ANSWER)
    }
    next()
  })
  return app
}
