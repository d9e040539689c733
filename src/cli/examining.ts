/** The commands that look at a set-up from outside. */
export { doctor } from './doctor/doctor.ts'
export { init } from './init/init.ts'
export { probe } from './probe/probe.ts'
