/** @file Why a command has to stop before its end, and the exit code that says so. */

/** What a shell expects of a program that a signal ended: 128 and the signal's number. */
export const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const

/** What trainings do once they are asked to end. */
export const LAST_STEP = 'finishing the step, then writing a checkpoint'

/** The reason of an abort: `signal.reason` of `CommandContext.interrupted`. */
export class Interruption extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message)
  }
}

/** The exit code of a command that was stopped; of one that another process of its job stopped that of Ctrl-C. */
export const exitCodeOf = ({ reason }: AbortSignal): number =>
  reason instanceof Interruption ? reason.exitCode : signalCodes.SIGINT
