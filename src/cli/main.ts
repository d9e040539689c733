#!/usr/bin/env node
import { runCommand } from './run.ts'

const { stdin, stdout, stderr } = process
const ended = new AbortController()
// A second signal ends the process at once, as without us.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort())

let isHeard = true
// The reader of a pipe may have seen enough, as `head` has: then there is nothing more to say, and nothing went wrong.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  isHeard = false
  ended.abort()
})
stderr.on('error', () => undefined)

void runCommand(process.argv.slice(2), {
  out(text) {
    if (!isHeard || stdout.write(text)) return undefined
    return new Promise((resolve) => {
      stdout.once('drain', resolve).once('close', resolve)
    })
  },
  error: (text) => void stderr.write(text),
  input: () => stdin,
  terminals: { input: stdin.isTTY, output: stdout.isTTY, error: stderr.isTTY },
  env: process.env,
  directory: process.cwd(),
  signal: ended.signal,
}).then((code) => {
  // An export that nobody reads any more was not interrupted by a person.
  process.exitCode = isHeard ? code : 0
})
