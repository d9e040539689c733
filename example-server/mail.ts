import { createTransport } from 'nodemailer'
import { causeOf, type Log } from './log.ts'

export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

/** Sends an email in the background, because its duration must not reveal whether an account exists. */
export type Mailer = (mail: Mail) => void

/** For development: prints emails instead of sending them. */
export const printingMailer =
  (print: (text: string) => void): Mailer =>
  ({ to, subject, text }) =>
    print(`\nMail to ${printable(to)}: ${subject}\n${text.replaceAll(/^/gm, '  | ')}\n`)

/** Sends emails through a mail server. Logs an email that cannot be sent, without its address. */
export function smtpMailer(url: string, from: string, log: Log): Mailer {
  const transport = createTransport(url, { from })
  return (mail) => {
    transport.sendMail(mail).catch((error: unknown) => {
      log('an email could not be sent', { subject: mail.subject, reason: causeOf(error) })
    })
  }
}

/** Replaces control characters, which a terminal would obey. */
const printable = (text: string): string => text.replaceAll(/\p{C}/gu, '?')
