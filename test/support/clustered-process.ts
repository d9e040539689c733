/** Two workers of `node:cluster`, each with nonces in its own memory, to test the warning. */
import cluster from 'node:cluster'
import { memoryNonces } from 'portcullis'

if (cluster.isPrimary) {
  cluster.fork().on('exit', () => cluster.fork())
} else {
  memoryNonces()
  process.disconnect()
}
