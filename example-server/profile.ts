import { z } from 'zod'

/** Schemas of the forms in which people enter their data. */

export const EMAIL = z.email('Please enter a valid email address.').max(254, 'The email address is too long.')

// Apps receive these texts, so they must not hide or reorder text: no control, format, private or unassigned
// characters.
const HIDDEN =
  /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u00AD\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0]|\u034F|[\u{E0000}-\u{E0FFF}]/u

const name = (which: string): z.ZodType<string> =>
  z
    .string(`Please enter your ${which}.`)
    .transform((text) => text.normalize('NFC').trim())
    .pipe(
      z
        .string()
        .min(1, `Please enter your ${which}.`)
        .max(100, `Your ${which} may have at most 100 characters.`)
        .refine(
          (text) => !HIDDEN.test(text),
          `Your ${which} contains invisible characters. Please type it again.`,
        ),
    )

export const NEW_PASSWORD = z
  .string('Please enter a password.')
  .transform((password) => password.normalize('NFC'))
  // Counts code points and not UTF-16 units.
  .refine((password) => Array.from(password).length >= 12, 'The password must have at least 12 characters.')
  .refine((password) => Array.from(password).length <= 128, 'The password may have at most 128 characters.')

const PICTURE_RULE = 'The picture must have a public https address, such as https://images.example/me.png.'

/** A picture URL that is safe for apps to load: https, with a public host name. Normalised by the URL parser. */
export const IMAGE = z
  .union([
    z.literal(''),
    z
      .string()
      .max(500, 'The address of the picture may have at most 500 characters.')
      .refine(isPublicPicture, PICTURE_RULE)
      .transform((text) => new URL(text).href),
  ])
  .default('')

function isPublicPicture(text: string): boolean {
  if (!URL.canParse(text) || HIDDEN.test(text)) return false
  const { protocol, hostname, username, password, port } = new URL(text)
  if (protocol !== 'https:' || username !== '' || password !== '' || port !== '') return false
  // IP addresses, single-label names and local domains may lead into the internal network of an app.
  const isName = /^(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*$/.test(hostname)
  return isName && !/\.(?:local|localhost|internal|intranet|lan|home|corp|arpa|onion)$/.test(hostname)
}

export const SIGN_IN = z.object({
  email: EMAIL,
  password: z.string().min(1, 'Please enter your password.').max(512, 'The password is too long.'),
})

export const SIGN_UP = z.object({
  email: EMAIL,
  password: NEW_PASSWORD,
  firstname: name('first name'),
  surname: name('last name'),
  country: z
    .string()
    .refine((code) => /^[A-Z]{2}$/.test(code) && isCountry(code), 'Please choose your citizenship.'),
  language: z.string().regex(/^[a-z]{2}$/, 'Please choose a language.'),
  image: IMAGE,
})

export const CURRENT = z
  .string()
  .min(1, 'Please enter your current password.')
  .max(512, 'The password is too long.')

export const RESET = z.object({ email: EMAIL })

export const CODE = z.object({
  code: z.string().min(1, 'Please enter the code.').max(60, 'The code is too long.'),
})

export const CODE_AND_PASSWORD = CODE.extend({ password: NEW_PASSWORD })

const TYPED = ['email', 'firstname', 'surname', 'country', 'language', 'image', 'image-address'] as const
const SECRETS = ['password', 'current', 'code'] as const

/** The input that a form shows again after a mistake: everything except passwords and codes. */
export function typedIn(body: unknown): Record<string, string> {
  const given = (body ?? {}) as Record<string, unknown>
  const typed = TYPED.map((name) => [name, given[name]])
  return Object.fromEntries(typed.filter((pair): pair is [string, string] => typeof pair[1] === 'string'))
}

/** The first problem of a form and its field. Input that no form of ours can send gets a general message. */
export function firstProblem({ issues }: z.ZodError): { problem: string; wrong: string | undefined } {
  const [issue] = issues
  const field = String(issue?.path[0] ?? '')
  const known = ([...TYPED, ...SECRETS] as readonly string[]).includes(field)
  const message = issue?.code === 'invalid_type' ? undefined : issue?.message
  return { problem: message ?? 'Please check what you entered.', wrong: known ? field : undefined }
}

const COUNTRIES = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })

/** Codes with a name but without citizens. */
const NOT_COUNTRIES: ReadonlySet<string> = new Set(
  'AC AQ BV CP CQ DG EA EU EZ GS HM IC QO TA TF UM UN XA XB ZZ'.split(' '),
)

let listed: readonly (readonly [code: string, name: string])[] | undefined

/** The codes and names of all countries, sorted by name. */
export function listedCountries(): readonly (readonly [code: string, name: string])[] {
  const letters = Array.from({ length: 26 }, (_, index) => String.fromCharCode(65 + index))
  listed ??= letters
    .flatMap((a) => letters.map((b) => a + b))
    .filter((code) => isCountry(code))
    .map((code): [string, string] => [code, COUNTRIES.of(code) ?? code])
    .sort(([, a], [, b]) => a.localeCompare(b))
  return listed
}

function isCountry(code: string): boolean {
  return (
    !NOT_COUNTRIES.has(code) &&
    COUNTRIES.of(code) !== undefined &&
    new Intl.Locale(`und-${code}`).region === code
  )
}
