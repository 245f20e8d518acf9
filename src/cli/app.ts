/** @file From arguments to an exit code. */
import { LowrankError, printable, messageOf } from '../errors.js'
import { chatCommand } from './commands/chat.js'
import { combineCommand } from './commands/combine.js'
import { convertCommand } from './commands/convert.js'
import { dataCommand } from './commands/data.js'
import { demoCommand } from './commands/demo.js'
import { evalCommand } from './commands/eval.js'
import { exportCommand } from './commands/export.js'
import { analyzeCommand } from './commands/analyze.js'
import { extractCommand } from './commands/extract.js'
import { generateCommand } from './commands/generate.js'
import { initCommand } from './commands/init.js'
import { inspectCommand } from './commands/inspect.js'
import { mergeCommand } from './commands/merge.js'
import { paperNlgTrainCommand } from './commands/paper/nlg-train.js'
import { paperNlgBeamCommand } from './commands/paper/nlg-beam.js'
import { paperNlgDecodeCommand } from './commands/paper/nlg-decode.js'
import { paperNlgPrepareCommand } from './commands/paper/nlg-prepare.js'
import { paperNlgScoreDartCommand, paperNlgScoreE2eCommand, paperNlgScoreWebnlgCommand } from './commands/paper/nlg-score.js'
import { paperNluRunCommand } from './commands/paper/nlu-run.js'
import { paperTableCommand } from './commands/paper/table.js'
import { predictCommand } from './commands/predict.js'
import { pushCommand } from './commands/push.js'
import { reportCommand } from './commands/report.js'
import { serveCommand } from './commands/serve.js'
import { scoreCommand } from './commands/score.js'
import { trainCommand } from './commands/train.js'
import { inFlags } from './flag-names.js'
import type { Command } from './flags.js'
import { commandTyped, findCommand, membersOf } from './find-command.js'
import { commandHelp, groupHelp, overview } from './help.js'
import { parseFlags } from './parse.js'
import { terminal, type Stream } from './terminal.js'
import { UsageError } from './usage-error.js'

export const commands: readonly Command[] = [
  trainCommand,
  initCommand,
  evalCommand,
  predictCommand,
  scoreCommand,
  reportCommand,
  generateCommand,
  chatCommand,
  serveCommand,
  mergeCommand,
  combineCommand,
  analyzeCommand,
  extractCommand,
  exportCommand,
  convertCommand,
  dataCommand,
  inspectCommand,
  pushCommand,
  demoCommand,
  paperNlgTrainCommand,
  paperNlgPrepareCommand,
  paperNlgBeamCommand,
  paperNlgDecodeCommand,
  paperNlgScoreE2eCommand,
  paperNlgScoreWebnlgCommand,
  paperNlgScoreDartCommand,
  paperNluRunCommand,
  paperTableCommand,
]

export const ExitCode = { ok: 0, failed: 1, usage: 2 } as const

/** What the command line needs of the process. */
export interface Surroundings {
  readonly stdout: Stream
  readonly stderr: Stream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
  readonly interrupted: AbortSignal
}

/** Runs a command line. @param args what follows `lowrank`. @returns the exit code */
export async function runCli(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { stdout, stderr, env } = surroundings
  try {
    const [name, ...rest] = args
    if (name === '--version' || name === '-V') return say(stdout, surroundings.version)
    if (name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) return say(stdout, overview(commands))
    if (name === undefined) throw new UsageError('a command is missing.')
    const found = findCommand(commands, name === 'help' ? rest : args)
    if ('group' in found) {
      const asked = name === 'help' || found.rest[0] === '--help' || found.rest[0] === '-h'
      if (asked) return say(stdout, groupHelp(commands, found.group))
      const members = membersOf(commands, found.group).map((member) => member.name)
      throw new UsageError(`lowrank ${found.group} needs a command: ${members.join(', ')}.`)
    }
    const { command } = found
    const parsed = parseFlags(command, name === 'help' ? ['--help'] : found.rest)
    if (parsed.help) return say(stdout, commandHelp(command))
    const output = terminal(stdout, stderr, env, parsed.values['json'] === true)
    const { positionals, given } = parsed
    const context = { output, args, positionals, given, env, interrupted: surroundings.interrupted }
    return await command.run(parsed.values as never, context)
  } catch (error) {
    return report(error, args, surroundings)
  }
}

function say(stdout: Stream, text: string): number {
  stdout.write(`${text}\n`)
  return ExitCode.ok
}

/** One message on stderr: the user's mistake, a wrong command line, or a mistake of ours. */
function report(error: unknown, args: readonly string[], { stderr, env, version }: Surroundings): number {
  if (error instanceof UsageError) {
    const command = commandTyped(commands, args)
    stderr.write(`${printable(error.message)}\nSee lowrank ${command === undefined ? '' : `${command.name} `}--help.\n`)
    return ExitCode.usage
  }
  const debug = (env['LOWRANK_DEBUG'] ?? '') !== '' && env['LOWRANK_DEBUG'] !== '0'
  if (error instanceof LowrankError) {
    const command = commandTyped(commands, args)
    const message = command === undefined ? error.message : inFlags(error.message, command)
    stderr.write(`error: ${debug ? (error.stack ?? error.message) : message}\n`)
  } else {
    const text = messageOf(error)
    const stack =
      debug && error instanceof Error ? `\n${error.stack}` : '\nThis is a bug in lowrank; set LOWRANK_DEBUG=1 to see where.'
    stderr.write(printable(`unexpected error (lowrank ${version}, node ${process.version}): ${text}${stack}\n`))
  }
  return ExitCode.failed
}
