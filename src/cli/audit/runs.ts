/** The commands for the audit log. */
export { erase, retain, verify } from './keeping.ts'
export { exportAll, prove, query, subject, tail } from './looking.ts'
export { rejudgeAll } from './rejudging.ts'
