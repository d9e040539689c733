import type { Request, RequestHandler, Response } from 'express'
import { DEFAULT_JURISDICTIONS, regionPin, type PolicySource } from 'portcullis'
import { html, type Html } from './pages/html.ts'
import { nameOf } from './pages/home-page.ts'
import { messagePage } from './pages/layout.ts'
import { typedIn } from './profile.ts'
import type { Refusals } from './refusals.ts'
import { sendUnavailable } from './unavailable.ts'
import { changeVisit, visitOf } from './visits.ts'

export interface PinParts {
  readonly shared: Refusals['told'] & {
    readonly policies: PolicySource
    appId(req: Request): string | undefined
  }
  readonly region: string
  /** The URL of the instance at a location, if it is known. */
  urlOf(location: string): string | undefined
}

/** Calls `next` if the data of citizens of this country may be handled here. */
export type Pin = (req: Request, res: Response, country: string, next: () => void | Promise<void>) => void

/**
 * Handles the data of a person only in their jurisdiction. Elsewhere, sends a page with a link to the right instance.
 */
export function createPin({ shared, region, urlOf }: PinParts): Pin {
  const pinned: RequestHandler = regionPin({
    ...shared,
    here: region,
    country: (req) => visitOf(req as Request)?.country,
    onDeny(decision, request, response) {
      const [req, res] = [request as Request, response as Response]
      if (decision.code === 'POLICY_UNAVAILABLE') return sendUnavailable(res)
      if (decision.code !== 'REGION_MISDIRECTED') {
        const text = 'This server cannot meet the requirements of this app.'
        res.status(403).send(messagePage('Not on this server', text, { ways: waysBack(req) }))
        return
      }
      const { locations } = DEFAULT_JURISDICTIONS[String(decision.evidence['jurisdiction'])] ?? {
        locations: [],
      }
      res.status(421).send(misdirectedPage(req, locations, urlOf))
    },
  })

  return (req, res, country, next) => {
    changeVisit(req, { country })
    pinned(req, res, (error) => {
      if (error === undefined) Promise.resolve(next()).catch((fault: unknown) => req.next?.(fault))
      else req.next?.(error)
    })
  }
}

const waysBack = (req: Request): { href: string; text: string }[] => [
  { href: `${visitOf(req)?.base ?? ''}/sign-in`, text: 'Use another account' },
]

function misdirectedPage(req: Request, locations: readonly string[], urlOf: PinParts['urlOf']): string {
  const where = locations.map(nameOf).join(' or ')
  const location = locations.find((name) => urlOf(name) !== undefined)
  const url = location === undefined ? undefined : urlOf(location)
  const base = `${url}${visitOf(req)?.base ?? ''}`
  if (location === undefined || url === undefined) {
    const text = `Your data must stay in ${where}, and this server is elsewhere. Please use the gateway of your region.`
    return messagePage('Not on this server', text, { ways: waysBack(req) })
  }
  const text = `Your data must stay in ${where}, and this server is elsewhere. None of it was stored here.`
  const isSignUp = req.method === 'POST' && req.path.endsWith('/sign-up')
  return messagePage('Not on this server', text, {
    ways: isSignUp
      ? [{ href: `${visitOf(req)?.base}/sign-up`, text: 'Back to the form' }]
      : [
          { href: `${base}/sign-in`, text: `Continue at the gateway in ${nameOf(location)}` },
          ...waysBack(req),
        ],
    more: isSignUp ? takeAlong(req, `${base}/sign-up/begun`, nameOf(location)) : undefined,
  })
}

/** A form that takes the input to the right instance, except the password, so the person need not enter it again. */
function takeAlong(req: Request, target: string, place: string): Html {
  return html`<form method="post" action="${target}">
    ${Object.entries(typedIn(req.body)).map(
      ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
    )}
    <button>Continue at the gateway in ${place}</button>
    <p class="hint">The form keeps what you entered, except the password.</p>
  </form>`
}
