/** @file A config file for `lowrank train --config` to begin with, made from the table of flags. */
import { stringify } from 'yaml'
import { loraFieldTable } from '../adapters/lora-fields.js'
import { trainOptionTable } from '../train/option-table.js'
import { inGroups } from '../util/option-groups.js'
import type { TextType } from '../util/option-kinds.js'
import type { AnyTable } from '../util/option-table.js'
import { trainFlags } from './commands/train-flags.js'
import type { Flags, GroupedFlag } from './flag.js'
import { commonFlags } from './flags.js'
import { wrap } from './help.js'

type TrainFlag = keyof typeof trainFlags

/** Flags that stand in the file with their values; the others stand there as comments. */
const usual: readonly TrainFlag[] = [
  ...(['model', 'data', 'out'] as const),
  ...(['r', 'alpha', 'dropout'] as const),
  ...(['epochs', 'batch-size', 'grad-accum', 'lr', 'schedule', 'warmup', 'weight-decay', 'max-grad-norm'] as const),
  ...(['base', 'checkpoint-every'] as const),
]

/** Values for flags that have no default, where any value of the kind would be a strange one. */
const shown: Readonly<Partial<Record<TrainFlag | keyof typeof commonFlags, unknown>>> = {
  ...{ model: 'HuggingFaceTB/SmolLM2-135M', data: 'train.jsonl', out: 'out', 'max-length': 512 },
  ...{ steps: 100, 'lora-plus-ratio': 16, 'eval-every': 50, 'eval-batch-size': 8, 'early-stopping': 3, 'sample-steps': 50 },
  ...{ 'sample-prompts': 'prompts.txt', 'report-to': 'tensorboard', license: 'apache-2.0', threads: 2 },
}

/** The flags that a file can give and a run does not want twice: all but those about the command itself. */
const flags: Readonly<Record<string, GroupedFlag>> = Object.fromEntries(
  Object.entries<GroupedFlag>({ ...trainFlags, ...commonFlags }).filter(([, { group }]) => group !== 'command'),
)

const rows = { ...trainOptionTable, ...loraFieldTable } as unknown as AnyTable

/** The first of the alternatives in what stands for a flag's value: `mean` of `mean | cls`. */
const firstOf = (value: string): string => value.split(' | ')[0]!

const list = (value: string): string | readonly string[] => (value.includes(',') ? value.split(',') : value)

/** A value of each kind where a flag has no default, to show how it is written. @param value what stands for it in the help */
const examples: Readonly<Record<TextType, (value: string) => unknown>> = {
  text: firstOf,
  integer: () => 1,
  number: () => 1,
  switch: () => true,
  texts: () => 'valid.jsonl',
  names: (value) => list(firstOf(value)),
  modules: (value) => (value.includes('all-linear') ? 'all-linear' : list(firstOf(value))),
  integers: () => [0, 1],
  // Of a flag that shows its keys, `0=1,…`, the first of them.
  mapping: (value) => ({ [value.includes('=') ? value.split('=')[0]! : 'NAME']: 1 }),
  columns: () => ({ prompt: 'question' }),
  constants: () => ({ NAME: 1 }),
}

/** The default of a flag, or a value that it could have. */
function valueOf(name: string, { type, default: preset, choices, min, value = 'NAME', option }: GroupedFlag): unknown {
  const row = option === undefined ? undefined : rows[option]
  const own = preset ?? row?.default
  if (typeof own === 'string' || typeof own === 'number') return own
  if (choices !== undefined) return choices[0]
  if (type !== 'number' && type !== 'integer') return examples[type](value)
  const numbers = [1, 0.1, ...(min === undefined ? [] : [min])]
  const fits = row !== undefined && 'is' in row ? row.is.fits : (each: unknown) => (each as number) >= (min ?? 0)
  const found = numbers.find(fits)
  if (found === undefined) throw new Error(`internal: no example of a value for --${name}`)
  return found
}

/** `name: value`, on one line. */
function line(name: string, value: unknown): string {
  const single: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value
  return `${name}: ${stringify(single, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd()}`
}

const WIDTH = 100
const comment = (text: string): string[] => wrap(text, WIDTH - 2).map((each) => `# ${each}`)

/**
 * The text of a config file: each option of `lowrank train` under the heading of its group, its help above it. Usual ones
 * have their values; the others are commented out (`#name: value`) and show their defaults, or how a value is written.
 * @param given values of flags, which are never commented out
 */
export function configTemplate(given: Readonly<Record<string, unknown>>): string {
  const sections = inGroups(Object.entries(flags), ([, { group }]) => group).flatMap(([heading, own]) => [
    ...['', `# --- ${heading} ---`],
    ...own.flatMap(([name, flag]) => {
      const value = given[name] ?? (shown as Readonly<Record<string, unknown>>)[name] ?? valueOf(name, flag)
      const active = given[name] !== undefined || (usual as readonly string[]).includes(name)
      const choices = flag.choices === undefined ? '' : ` One of: ${flag.choices.join(', ')}.`
      return ['', ...comment(`${flag.help}${choices}`), `${active ? '' : '#'}${line(name, value)}`]
    }),
  ])
  const head =
    'Options of lowrank train, with the names of its flags. A line that begins with # and a name is an option that is not ' +
    'given; remove the # to give it. What the command line says goes before this file, and this file before a preset: take out a line that the preset shall decide.'
  return [...comment(head), ...sections, ''].join('\n')
}

/** The flags by which `lowrank init` is told values, as `train` has them; none is required. */
export const templateFlags = Object.fromEntries(
  (['model', 'data', 'eval-data', 'out', 'task', 'objective'] as const).map((name) => {
    const { required: _, ...flag } = trainFlags[name] as GroupedFlag
    return [name, flag]
  }),
) as Flags
