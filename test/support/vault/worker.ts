/** The process in the vault proofs that reseals and is killed. */
import { resealAll, type RotationTask } from './rotation.ts'

await resealAll(JSON.parse(process.argv[2] ?? '{}') as RotationTask)
