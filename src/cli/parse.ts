/** @file The command line and the config file read by a table of flags. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseDocument } from 'yaml'
import { FileError } from '../errors.js'
import { commonFlagsOf, type Command } from './flags.js'
import type { Flag, Flags, GroupedFlag } from './flag.js'
import { flagMeant, UsageError } from './usage-error.js'
import { readValue } from './values.js'

/** Flags of a command and those that all commands have. */
export const flagsOf = (command: Command): Flags => ({
  ...command.flags,
  ...(command.configFile === true && {
    config: {
      group: 'command',
      type: 'text',
      value: 'FILE',
      help: 'YAML file with the same names as the flags; flags given here go before it.',
    } satisfies GroupedFlag,
  }),
  ...commonFlagsOf(command),
})

export interface Parsed {
  readonly help: boolean
  readonly positionals: readonly string[]
  readonly values: Readonly<Record<string, unknown>>
  readonly given: ReadonlySet<string>
}

const isMultiple = ({ type }: Flag): boolean => type === 'texts'

/**
 * Reads the arguments after the command's name.
 * @throws UsageError for an unknown or missing flag, a missing or wrong value, a superfluous argument
 */
export function parseFlags(command: Command, args: readonly string[]): Parsed {
  const flags = flagsOf(command)
  const { raw, positionals, help } = readArguments(command, flags, args)
  if (help) return { help, positionals: [], values: {}, given: new Set() }
  const values: Record<string, unknown> = {}
  for (const [name, flag] of Object.entries(flags)) {
    if (flag.default !== undefined) values[name] = flag.default
    else if (flag.type === 'switch' && flag.open !== true) values[name] = false
  }
  const given = new Set<string>()
  const config = raw.get('config')
  if (config !== undefined) {
    const file = readValue(config, flags['config']!, '--config') as string
    for (const [name, value] of readConfigFile(file, flags, command.name)) {
      values[name] = readValue(value, flags[name]!, `${name} in ${file}`)
      given.add(name)
    }
  }
  for (const [name, value] of raw) {
    values[name] = readValue(value, flags[name]!, `--${name}`)
    given.add(name)
  }
  for (const [name, flag] of Object.entries(flags))
    if (flag.required === true && values[name] === undefined)
      throw new UsageError(`lowrank ${command.name} needs --${name}${flag.value === undefined ? '' : ` ${flag.value}`}.`)
  const expected = command.positionals ?? []
  const most = expected.at(-1)?.endsWith('…') === true ? Infinity : expected.length
  if (positionals.length > most)
    throw new UsageError(
      `lowrank ${command.name}: unexpected argument "${positionals[most]}"${expected.length === 0 ? '; values follow a flag' : ''}.`,
    )
  const missing = expected.slice(positionals.length).filter((name) => !name.startsWith('['))
  if (missing.length > 0) throw new UsageError(`lowrank ${command.name} needs ${missing.join(' and ')}.`)
  return { help: false, positionals, values, given }
}

interface RawArguments {
  readonly raw: Map<string, string | boolean | string[]>
  readonly positionals: string[]
  readonly help: boolean
}

/** Arguments with the names of flags in place of short ones; behind `--` nothing is a flag. */
function unabbreviated(flags: Flags, args: readonly string[]): string[] {
  const names = new Map(Object.entries(flags).flatMap(([name, { short }]) => (short === undefined ? [] : [[short, `--${name}`]])))
  const end = args.indexOf('--')
  return args.map((arg, i) => (end < 0 || i < end ? (names.get(arg) ?? arg) : arg))
}

function readArguments(command: Command, flags: Flags, args: readonly string[]): RawArguments {
  const types = Object.entries(flags).map(
    ([name, { type }]) => [name, { type: type === 'switch' ? 'boolean' : 'string' }] as const,
  )
  // Not strict: the tokens are checked below, with suggestions, and so that `--data a b` may list files.
  const { tokens } = parseArgs({
    args: unabbreviated(flags, args),
    options: Object.fromEntries(types),
    strict: false,
    tokens: true,
  })
  const raw: RawArguments['raw'] = new Map()
  const positionals: string[] = []
  let list: string[] | undefined
  for (const token of tokens) {
    if (token.kind === 'positional') {
      ;(list ?? positionals).push(token.value)
      continue
    }
    list = undefined
    if (token.kind === 'option-terminator') continue
    const { name, rawName } = token
    if (rawName === '--help' || rawName === '-h') return { raw, positionals, help: true }
    const flag = Object.hasOwn(flags, name) && rawName.startsWith('--') ? flags[name] : undefined
    if (flag === undefined)
      throw new UsageError(`lowrank ${command.name}: unknown flag "${rawName}".${flagMeant(name, flags, '--')}`)
    if (flag.type === 'switch') raw.set(name, token.value ?? true)
    // `--model --data x` forgot the model; a value that does begin with two hyphens is written `--prompt=--x`.
    else if (token.value === undefined || (token.inlineValue === false && token.value.startsWith('--')))
      throw new UsageError(
        `lowrank ${command.name}: ${rawName} needs a value${flag.value === undefined ? '' : ` (${flag.value})`}.`,
      )
    else if (isMultiple(flag)) {
      const before = raw.get(name)
      list = Array.isArray(before) ? before : []
      list.push(token.value)
      raw.set(name, list)
    } else if (raw.has(name)) throw new UsageError(`lowrank ${command.name}: ${rawName} is given twice.`)
    else raw.set(name, token.value)
  }
  return { raw, positionals, help: false }
}

/** Flags of a command fill a page. */
const LONGEST_CONFIG = 1 << 20

/** The parser walks into what is nested, and runs out of stack before it says no. */
function parsedYaml(text: string, file: string): ReturnType<typeof parseDocument> {
  try {
    return parseDocument(text)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new UsageError(`${file} is nested too deeply for a config file of flags.`)
  }
}

/** The values, with aliases in place: few of them, or a small file becomes a huge value. */
function plainYaml(document: ReturnType<typeof parseDocument>, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 20 })
  } catch (cause) {
    if (cause instanceof RangeError) throw new UsageError(`${file} is nested too deeply for a config file of flags.`)
    if (!(cause instanceof ReferenceError)) throw cause
    throw new UsageError(`${file}: its aliases (*name) stand for too much; write the values themselves.`)
  }
}

/** Keys and values of a config file, each a flag of the command. */
function readConfigFile(file: string, flags: Flags, command: string): [string, unknown][] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new FileError(`config file "${file}" cannot be read: ${(cause as Error).message}`, { cause })
  }
  if (text.length > LONGEST_CONFIG)
    throw new UsageError(`${file} has ${text.length} characters; a config file of flags has at most ${LONGEST_CONFIG}.`)
  const document = parsedYaml(text, file)
  const problem = document.errors[0]
  if (problem !== undefined)
    throw new UsageError(`${file} is not valid YAML: ${problem.message.split('\n')[0]!.replace(/:$/, '')}.`)
  const content = plainYaml(document, file)
  if (content === null) return []
  if (typeof content !== 'object' || Array.isArray(content))
    throw new UsageError(`${file} must hold a mapping of flags to values, such as "lr: 1e-4".`)
  const { config: _, ...known } = flags
  for (const key of Object.keys(content))
    if (!Object.hasOwn(known, key))
      throw new UsageError(`${file}: lowrank ${command} has no flag "${key}".${flagMeant(key, known)}`)
  // A key without a value is as good as absent.
  return Object.entries(content).filter(([, value]) => value !== null)
}
