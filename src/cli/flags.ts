/** @file Flags as data: parsing, `--help`, the config file and docs/cli.md all come from these tables. */
import { devices } from '../runtime/runtime.js'
import { trainOptionTable } from '../train/option-table.js'
import type { Flags, GroupedFlag } from './flag.js'
import { commonFlag } from './option-flags.js'

interface ValueTypes {
  text: string
  integer: number
  number: number
  switch: boolean
  texts: readonly string[]
  names: readonly string[]
  modules: readonly string[] | string
  integers: readonly number[]
  mapping: Readonly<Record<string, number>>
  columns: Readonly<Record<string, string>>
  constants: Readonly<Record<string, number | boolean | readonly (number | boolean)[]>>
}

/** The values of a table's flags: those with a default or required are always there, switches that are not open are false when absent. */
export type Values<T extends Flags> = {
  readonly [K in keyof T]: T[K] extends { open: true }
    ? ValueTypes[T[K]['type']] | undefined
    : T[K] extends { required: true } | { default: unknown } | { type: 'switch' }
      ? ValueTypes[T[K]['type']]
      : ValueTypes[T[K]['type']] | undefined
}

/** Flags that every command has. */
export const commonFlags = {
  device: {
    group: 'hardware',
    type: 'text',
    help: 'Where the graph runs.',
    choices: devices,
    default: 'cpu',
  },
  threads: { group: 'hardware', type: 'integer', value: 'N', min: 1, help: 'Threads of the runtime; all cores by default.' },
  seed: commonFlag(trainOptionTable, 'seed'),
  json: { group: 'command', type: 'switch', help: 'Print JSON lines on stdout, and nothing else there.' },
} as const satisfies Readonly<Record<string, GroupedFlag>>

/** A command: its flags and what it does with them. */
export interface Command<T extends Flags = Flags> {
  readonly name: string
  readonly summary: string
  /** A paragraph or two for the help. */
  readonly description: string
  /**
   * Names of the arguments that are told by their place; none by default. In brackets those that the command can do without,
   * with `…` behind the last where there may be several of it.
   */
  readonly positionals?: readonly string[]
  readonly flags: T
  /** Which of the flags that other commands have it does not take, for nothing would read them. */
  readonly without?: readonly (keyof typeof commonFlags)[]
  /**
   * What it does once it is asked to end, told to who presses Ctrl-C: it then heeds {@link CommandContext.interrupted}. A command
   * without ends at once.
   */
  readonly lastWork?: string
  /** Whether `--config file.yaml` may give flags. */
  readonly configFile?: true
  /** Lines for a shell. */
  readonly examples: readonly string[]
  /** The JSON it prints, for the documentation. */
  readonly prints: string
  run(values: Values<T & typeof commonFlags>, context: CommandContext): Promise<number>
}

/** What a command works with beside its flags. */
export interface CommandContext {
  readonly output: Output
  /** What was typed after `lowrank`. */
  readonly args: readonly string[]
  /** Those that were given, in their order. */
  readonly positionals: readonly string[]
  /** Names of the flags that were given, on the command line or in the config file. */
  readonly given: ReadonlySet<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Raised by the first Ctrl-C, of commands with a `lastWork`. */
  readonly interrupted: AbortSignal
}

/** Common flags of a command: those that it reads. */
export const commonFlagsOf = ({ without = [] }: Pick<Command, 'without'>): Flags =>
  Object.fromEntries(Object.entries(commonFlags).filter(([name]) => !(without as readonly string[]).includes(name)))

/** Where a command prints. */
export interface Output {
  readonly json: boolean
  readonly color: {
    bold(text: string): string
    dim(text: string): string
    green(text: string): string
    yellow(text: string): string
    cyan(text: string): string
  }
  /** Whether stderr is a terminal, on which a line may be rewritten. */
  readonly live: boolean
  readonly columns: number
  /** A piece of text on stdout. */
  write(text: string): void
  /** A line on stdout. */
  print(line: string): void
  /** A JSON line on stdout. */
  printJson(value: unknown): void
  /** A line on stderr, for people. */
  note(line: string): void
  /** The line at the bottom of a terminal, rewritten in place; undefined removes it. */
  status(line: string | undefined): void
}

/** Keeps the types of a command's table through the list of commands. */
export const defineCommand = <const T extends Flags>(command: Command<T>): Command => command as unknown as Command

/** Drops undefined, so that options with `exactOptionalPropertyTypes` can be filled from flags. */
export function defined<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
