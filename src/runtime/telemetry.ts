/**
 * @file ONNX Runtime's telemetry, off. Imported by the one file that loads the native runtime, before it.
 *
 * From 1.30 on the native library keeps a device id and a database of events in the user's cache folder and sends them to
 * its makers, unless this variable of the process says otherwise when the first session is made. Who wants it sets the
 * variable to 0.
 */
import { isMainThread } from 'node:worker_threads'
import { RuntimeError } from '../errors.js'

const NAME = 'ORT_DISABLE_TELEMETRY'

process.env[NAME] ??= '1'

/** A worker thread's `process.env` is a copy, which native code does not see; a report tells what the process has. */
function processHasVariable(): boolean {
  // Node's types do not know that a report may leave out the network interfaces, whose names it would look up.
  const report = process.report as typeof process.report & { excludeNetwork?: boolean }
  const { excludeNetwork = false } = report
  report.excludeNetwork = true
  try {
    const { environmentVariables } = report.getReport() as { environmentVariables?: Record<string, string> }
    return environmentVariables?.[NAME] !== undefined
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}

let decided = isMainThread

/**
 * Called before a session is made.
 * @throws RuntimeError in a worker thread that cannot turn the telemetry off
 */
export function assertTelemetryDecided(): void {
  decided ||= processHasVariable()
  if (!decided)
    throw new RuntimeError(
      "ONNX Runtime's telemetry cannot be turned off from a worker thread, whose environment is a copy; import lowrank in the main " +
        `thread first, make the worker with env: SHARE_ENV, or start the process with ${NAME}=1 (or 0, to allow it)`,
    )
}
