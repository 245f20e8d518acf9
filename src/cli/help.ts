/** @file The texts of `--help` and docs/cli.md, made from the tables of flags. */
import { inGroups } from '../util/option-groups.js'
import { someOf } from '../util/some-of.js'
import { commandGroups, membersOf } from './find-command.js'
import { signalCodes } from './interruption.js'
import { commonFlags, type Command } from './flags.js'
import type { Flag, GroupedFlag } from './flag.js'
import { flagsOf } from './parse.js'

const placeholders: Readonly<Record<Flag['type'], string>> = {
  text: 'TEXT',
  integer: 'N',
  number: 'X',
  switch: '',
  texts: 'FILE…',
  names: 'A,B',
  modules: 'A,B',
  integers: 'N,N',
  mapping: 'NAME=N,…',
  columns: 'FIELD=COLUMN,…',
  constants: 'NAME=VALUE,…',
}

/** What stands for the value of a flag. */
const placeholder = (flag: Flag): string => flag.value ?? flag.choices?.join('|') ?? placeholders[flag.type]

/** `Default: 8.` and the like. */
function remarks(flag: Flag): string {
  const list = [flag.help]
  if (flag.required === true) list.push('Required.')
  if (flag.default !== undefined) list.push(`Default: ${flag.default}.`)
  if (flag.notYet === 'all') list.push('Not supported yet.')
  else if (Array.isArray(flag.notYet)) list.push(`Not supported yet: ${flag.notYet.join(', ')}.`)
  else if (flag.notYet !== undefined) list.push(`Not supported yet: above ${(flag.notYet as { above: number }).above}.`)
  return list.join(' ')
}

const usage = (command: Command): string => {
  const required = Object.entries(command.flags)
    .filter(([, flag]) => flag.required === true)
    .map(([name, flag]) => `--${name} ${placeholder(flag)}`)
  return ['lowrank', command.name, ...(command.positionals ?? []), ...required, '[flags]'].join(' ')
}

/** Breaks a text into lines of at most `width` characters, between words and after the bars between choices. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const piece of text.replace(/\s+/g, ' ').split(/(?<=[ |])/)) {
    if (line !== '' && (line + piece).trimEnd().length > width) {
      lines.push(line.trimEnd())
      line = piece
    } else line += piece
  }
  return [...lines, line.trimEnd()]
}

/** A line for a shell on several, each but the last with what tells the shell so. */
function shellLines(text: string, width: number): string[] {
  const lines: string[] = []
  for (const piece of text.split(/ (?=--?[a-zA-Z])/)) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + piece.length + 2 <= width) lines[lines.length - 1] = `${last} ${piece}`
    else lines.push(last === undefined ? piece : `  ${piece}`)
  }
  return lines.map((line, i) => (i === lines.length - 1 ? line : `${line} \\`))
}

type NamedFlag = readonly [name: string, flag: Flag]

/** How it is written: `--metrics`, or with a short name `-m, --metrics`. */
const spelling = ([name, { short }]: NamedFlag): string => `${short === undefined ? '' : `${short}, `}--${name}`

/** The flags under the headings of their groups, or under one where not all flags have a group. */
function sections(flags: readonly NamedFlag[]): (readonly [heading: string, flags: readonly NamedFlag[]])[] {
  const grouped = flags.every((each): each is [string, GroupedFlag] => each[1].group !== undefined)
  return grouped ? inGroups(flags, ([, { group }]) => group) : [['Flags', flags]]
}

/** What every terminal has. */
const WIDTH = 80
const INDENT = 27

/** A flag and what it means, beside it or, if it is long, below. */
function helpRow(named: NamedFlag): string[] {
  const [, flag] = named
  const right = wrap(remarks(flag), WIDTH - INDENT)
  const left = wrap(`${spelling(named)} ${placeholder(flag)}`.trimEnd(), WIDTH - 6).map(
    (line, i) => `${i === 0 ? '  ' : '      '}${line}`,
  )
  const first = left.length === 1 && left[0]!.length < INDENT ? [`${left[0]!.padEnd(INDENT)}${right.shift()}`] : left
  return [...first, ...right.map((line) => `${' '.repeat(INDENT)}${line}`)]
}

/** The text of `lowrank <command> --help`. */
export function commandHelp(command: Command): string {
  const rows = sections(Object.entries(flagsOf(command))).flatMap(([heading, flags]) => [
    '',
    `${heading}:`,
    ...flags.flatMap(helpRow),
  ])
  return [
    ...wrap(command.summary, WIDTH),
    '',
    ...wrap(`Usage: ${usage(command)}`, WIDTH - 2).map((line, i) => (i === 0 ? line : `  ${line}`)),
    '',
    ...wrap(command.description, WIDTH),
    ...rows,
    '',
    'Examples:',
    ...command.examples.flatMap((line) => shellLines(line, WIDTH - 2).map((part) => `  ${part}`)),
  ].join('\n')
}

/** Exit codes of what ends a program from outside. */
const signals = `what is ended from outside has ${someOf(Object.entries(signalCodes).map(([name, code]) => `${code} (${name === 'SIGPIPE' ? 'nobody reads its output' : name})`))}`

/** Commands and what they do, a line each. */
function commandList(members: readonly Pick<Command, 'name' | 'summary'>[]): string[] {
  const width = Math.max(10, ...members.map(({ name }) => name.length))
  return members.map(({ name, summary }) => `  ${name.padEnd(width)} ${summary}`)
}

/** The text of `lowrank <group> --help`. */
export function groupHelp(commands: readonly Command[], group: string): string {
  return [
    ...wrap(commandGroups[group]!, WIDTH),
    '',
    `Usage: lowrank ${group} <command> [flags]`,
    '',
    'Commands:',
    ...commandList(membersOf(commands, group)),
    '',
    `lowrank ${group} <command> --help documents every flag.`,
  ].join('\n')
}

/** The text of `lowrank --help`. */
export function overview(commands: readonly Command[]): string {
  return [
    'lowrank: LoRA fine-tuning on ONNX Runtime.',
    '',
    'Usage: lowrank <command> [flags]',
    '',
    'Commands:',
    ...commandList(membersOf(commands)),
    '',
    'lowrank <command> --help documents every flag. lowrank --version prints the version.',
    `Exit codes: 0 success, 1 a mistake in the input or its surroundings, 2 wrong usage; ${signals}.`,
  ].join('\n')
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

const flagTable = (flags: readonly NamedFlag[]): string[] => [
  '| flag | value | meaning |',
  '| --- | --- | --- |',
  ...flags.map(
    ([name, flag]) =>
      `| \`${spelling([name, flag])}\` | ${placeholder(flag) === '' ? '' : cell(placeholder(flag))} | ${cell(remarks(flag))} |`,
  ),
]

/** One table, or one for each group. */
function flagTables(flags: readonly NamedFlag[]): string[] {
  const all = sections(flags)
  if (all.length === 1) return flagTable(flags)
  return all.flatMap(([heading, own], i) => [...(i === 0 ? [] : ['']), `### ${heading}`, '', ...flagTable(own)])
}

/** docs/cli.md, before formatting. */
export function documentation(commands: readonly Command[]): string {
  return [
    '# Command line',
    '',
    '<!-- Made from the tables in src/cli/commands by `npm run docs`; do not edit. -->',
    '',
    `Exit code 0 means success, 1 a mistake in the input or its surroundings (one message on stderr), 2 wrong usage; ${signals}. ` +
      'With `--json` stdout carries JSON lines and nothing else; messages for people go to stderr. `NO_COLOR` is honoured. ' +
      'In place of a folder, `--model` and `--adapter` take a hub id such as `owner/name` or `owner/name@revision`.',
    '',
    '## Flags of every command',
    '',
    `But for ${commands
      .filter(({ without }) => without !== undefined)
      .map(({ name, without }) => `\`${name}\` (no ${someOf(without!.map((flag) => `\`--${flag}\``))})`)
      .join(', ')}, which would read nothing of them.`,
    '',
    ...flagTable(Object.entries(commonFlags)),
    ...commands.flatMap((command) => [
      '',
      `## lowrank ${command.name}`,
      '',
      command.summary,
      '',
      command.description,
      '',
      '```sh',
      ...command.examples,
      '```',
      '',
      ...(Object.keys(command.flags).length === 0
        ? []
        : flagTables(Object.entries(flagsOf(command)).filter(([name]) => !(name in commonFlags)))),
      '',
      `JSON: ${command.prints}`,
    ]),
    '',
  ].join('\n')
}
