#!/usr/bin/env node
/** @file The program `lowrank`: the process around the command line. */
import { Console } from 'node:console'
import { readFileSync } from 'node:fs'
import { runCli } from './app.js'

// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

// Libraries may log to the console; stdout belongs to results.
globalThis.console = new Console(process.stderr)

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
/** SIGUSR2 is what mpirun hands on to its processes without ending them soon after; Windows has none. */
const exitCodes = { SIGINT: 130, SIGTERM: 143, ...(process.platform !== 'win32' && { SIGUSR2: 140 }) }
const controller = new AbortController()
const args = process.argv.slice(2)

for (const [signal, code] of Object.entries(exitCodes))
  process.on(signal, () => {
    // Only training has something to save; a second signal does not wait for it.
    if (args[0] !== 'train' || controller.signal.aborted) process.exit(code)
    process.stderr.write('\nfinishing the step, then writing a checkpoint; once more to quit at once\n')
    controller.abort()
  })

process.exitCode = await runCli(args, {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  version,
  interrupted: controller.signal,
})
