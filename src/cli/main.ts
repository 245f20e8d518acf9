#!/usr/bin/env node
/** @file The program `lowrank`: the process around the command line. */
import { Console } from 'node:console'
import { readFileSync } from 'node:fs'
import { commands, runCli } from './app.js'
import { commandTyped } from './find-command.js'
import { Interruption, signalCodes } from './interruption.js'

// Libraries may log to the console; stdout belongs to results.
globalThis.console = new Console(process.stderr)

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
const { SIGHUP, SIGINT, SIGPIPE, SIGTERM } = signalCodes
/** SIGUSR2 is what mpirun hands on to its processes without ending them soon after; Windows has none. */
const signals = { SIGHUP, SIGINT, SIGTERM, ...(process.platform !== 'win32' && { SIGUSR2: SIGINT }) }
const controller = new AbortController()
const args = process.argv.slice(2)
/** What the command does before it ends; of one that has nothing to save undefined. */
const lastWork = commandTyped(commands, args)?.lastWork

/** Asks the command to end. Nobody may be there to read the message any more. */
function interrupt(interruption: Interruption): void {
  process.stderr.write(`\n${interruption.message}: ${lastWork}; once more to quit at once\n`)
  controller.abort(interruption)
}

for (const [signal, code] of Object.entries(signals))
  process.on(signal, () => {
    // A second signal does not wait.
    if (lastWork === undefined || controller.signal.aborted) process.exit(code)
    interrupt(new Interruption(signal, code))
  })

/** What a stream that takes no more means for the exit code: results that did not arrive are no success. */
let lost: number | undefined

// Of a pipe that nobody reads any more (`| head`), and of a disk that is full.
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (lost !== undefined) return
  lost = code === 'EPIPE' ? SIGPIPE : 1
  process.exitCode ||= lost
  const interruption = new Interruption(code === 'EPIPE' ? 'stdout was closed' : `stdout cannot be written (${message})`, lost)
  if (lastWork !== undefined) {
    if (!controller.signal.aborted) interrupt(interruption)
    return
  }
  if (code !== 'EPIPE') process.stderr.write(`error: ${interruption.message}\n`)
  process.exit(lost)
})
process.stderr.on('error', ({ code }: NodeJS.ErrnoException) => {
  // Whoever watched has gone; messages that find no room are no reason to stop.
  if (code === 'EPIPE' && lastWork !== undefined && !controller.signal.aborted)
    controller.abort(new Interruption('stderr was closed', SIGPIPE))
})

const exitCode = await runCli(args, {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  version,
  interrupted: controller.signal,
})
process.exitCode = exitCode || lost
