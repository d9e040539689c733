/** The commands that check a setup from outside. */
export { doctor } from './doctor/doctor.ts'
export { init } from './init/init.ts'
export { probe } from './probe/probe.ts'
