/** @file A program of Node run to its end, within a time. */
import { spawn } from 'node:child_process'

/** How long it may take, what it finds in its environment, and who is told what it says meanwhile. */
export interface ScriptOptions {
  readonly seconds: number
  readonly env?: Readonly<Record<string, string>>
  readonly onError?: ((text: string) => void) | undefined
}

/** @returns what it printed, and how it ended if it failed or took too long, with what it said last */
export async function runScript(
  args: readonly string[],
  { seconds, env = {}, onError }: ScriptOptions,
): Promise<{ readonly output: string; readonly problem: string | undefined }> {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, timeout: seconds * 1000 })
  let [output, errors] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4000)
    onError?.(text)
  })
  const code = await new Promise<string>((resolve) => child.on('close', (exit, signal) => resolve(signal ?? `exit code ${exit}`)))
  return { output, problem: code === 'exit code 0' ? undefined : `${code}: ${errors.trim()}` }
}
