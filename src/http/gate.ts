import type { GuardResponse } from './request.ts'

export interface GateKeeper {
  /** Called before every part of the response and before its end (`final`). What it returns is waited for. */
  before(final: boolean): void | Promise<void>
  /** Answers in place of the handler when `before` has rejected and nothing was sent yet. */
  refuse(): void
}

type Call = () => void

/**
 * Holds a response back until its keeper has agreed. While the keeper agrees at once everything goes on as without a gate.
 * Otherwise writes wait in order; when the keeper rejects, they are dropped and `refuse` answers, or, when a part was sent
 * already, the connection is cut.
 */
export function gateResponse(res: GuardResponse, keeper: GateKeeper): void {
  const write = res.write.bind(res) as (...args: unknown[]) => boolean
  const end = res.end.bind(res) as (...args: unknown[]) => GuardResponse
  const flushHeaders = res.flushHeaders.bind(res)
  const waiting: Call[] = []
  let held = false

  /** Runs the call when the keeper agrees. Calls keep their order. */
  function pass(final: boolean, call: Call): void {
    if (held) {
      waiting.push(() => pass(final, call))
      return
    }
    let agreed: void | Promise<void>
    try {
      agreed = keeper.before(final)
    } catch {
      refuse()
      return
    }
    if (!(agreed instanceof Promise)) {
      call()
      return
    }
    held = true
    agreed.then(
      () => {
        held = false
        if (!res.destroyed) call()
        release()
      },
      () => {
        held = false
        refuse()
      },
    )
  }

  function release(): void {
    while (!held && waiting.length > 0) waiting.shift()?.()
    if (!held && !res.writableEnded && !res.destroyed) res.emit('drain')
  }

  function refuse(): void {
    waiting.length = 0
    Object.assign(res, { write, end, flushHeaders })
    if (res.headersSent) {
      res.destroy()
      return
    }
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    keeper.refuse()
  }

  Object.assign(res, {
    write(...args: unknown[]): boolean {
      let written = false
      pass(false, () => {
        written = write(...args)
      })
      return written
    },
    end(...args: unknown[]): GuardResponse {
      pass(true, () => void end(...args))
      return res
    },
    flushHeaders(): void {
      pass(false, flushHeaders)
    },
  })
}
