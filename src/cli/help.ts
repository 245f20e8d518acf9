/** @file The texts of `--help` and docs/cli.md, made from the tables of flags. */
import { someOf } from '../util/some-of.js'
import { signalCodes } from './interruption.js'
import { commonFlags, type Command } from './flags.js'
import type { Flag } from './flag.js'
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
  return [
    'lowrank',
    command.name,
    ...(command.positional === undefined ? [] : [command.positional]),
    ...required,
    '[flags]',
  ].join(' ')
}

/** Breaks a text into lines of at most `width` characters. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

const WIDTH = 100
const INDENT = 34

/** The text of `lowrank <command> --help`. */
export function commandHelp(command: Command): string {
  const rows = Object.entries(flagsOf(command)).flatMap(([name, flag]) => {
    const left = `  --${name} ${placeholder(flag)}`.trimEnd()
    const right = wrap(remarks(flag), WIDTH - INDENT)
    const first = left.length < INDENT - 1 ? [`${left.padEnd(INDENT)}${right.shift()}`] : [left]
    return [...first, ...right.map((line) => `${' '.repeat(INDENT)}${line}`)]
  })
  return [
    command.summary,
    '',
    `Usage: ${usage(command)}`,
    '',
    ...wrap(command.description, WIDTH),
    '',
    'Flags:',
    ...rows,
    '',
    'Examples:',
    ...command.examples.map((line) => `  ${line}`),
  ].join('\n')
}

/** Exit codes of what ends a program from outside. */
const signals = `what is ended from outside has ${someOf(Object.entries(signalCodes).map(([name, code]) => `${code} (${name === 'SIGPIPE' ? 'nobody reads its output' : name})`))}`

/** The text of `lowrank --help`. */
export function overview(commands: readonly Command[]): string {
  return [
    'lowrank: LoRA fine-tuning on ONNX Runtime.',
    '',
    'Usage: lowrank <command> [flags]',
    '',
    'Commands:',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`),
    '',
    'lowrank <command> --help documents every flag. lowrank --version prints the version.',
    `Exit codes: 0 success, 1 a mistake in the input or its surroundings, 2 wrong usage; ${signals}.`,
  ].join('\n')
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

const flagTable = (flags: readonly (readonly [string, Flag])[]): string[] => [
  '| flag | value | meaning |',
  '| --- | --- | --- |',
  ...flags.map(
    ([name, flag]) => `| \`--${name}\` | ${placeholder(flag) === '' ? '' : cell(placeholder(flag))} | ${cell(remarks(flag))} |`,
  ),
]

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
        : flagTable(Object.entries(flagsOf(command)).filter(([name]) => !(name in commonFlags)))),
      '',
      `JSON: ${command.prints}`,
    ]),
    '',
  ].join('\n')
}
