#!/usr/bin/env node
import { runCommand } from './run.ts'

const { stdin, stdout, stderr } = process
const ended = new AbortController()
// Only once, so that a second signal ends the process at once.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort())

let isHeard = true
// The reader of a pipe, such as `head`, may have closed it. Then nothing more is written, and this is not an error.
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
  // If nobody reads an export any longer, its interruption is not reported.
  error: (text) => void (isHeard && stderr.write(text)),
  input: () => stdin,
  terminals: { input: stdin.isTTY, output: stdout.isTTY, error: stderr.isTTY },
  env: process.env,
  directory: process.cwd(),
  signal: ended.signal,
}).then((code) => {
  // If the reader closed the pipe, the command was not interrupted by a person.
  process.exitCode = isHeard ? code : 0
})
