import { createTransport } from 'nodemailer'
import { causeOf, type Log } from './log.ts'

export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** Sends a mail. Nobody waits for it: how long it takes must not tell whether there is an account. */
export type Mailer = (mail: Mail) => void

/** For development: prints mails where the server was started. */
export const printingMailer =
  (print: (text: string) => void): Mailer =>
  ({ to, subject, text }) =>
    print(`\nMail to ${printable(to)}: ${subject}\n${text.replaceAll(/^/gm, '  | ')}\n`)

/** Through a mail server. A mail that cannot be sent is a line in the log, without its address. */
export function smtpMailer(url: string, from: string, log: Log): Mailer {
  const transport = createTransport(url, { from })
  return (mail) => {
    transport.sendMail(mail).catch((error: unknown) => {
      log('a mail could not be sent', { subject: mail.subject, reason: causeOf(error) })
    })
  }
}

/** A terminal obeys control characters. */
const printable = (text: string): string => text.replaceAll(/\p{C}/gu, '?')
