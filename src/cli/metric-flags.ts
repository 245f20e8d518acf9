/** @file The flags that say how texts are compared: of `lowrank score`, and of `lowrank eval` where it writes texts. */
import { metricNames, tokenizerNames, type TextOptions, type TokenizerName } from '../metrics/index.js'
import { defined } from './flags.js'
import type { Flags } from './flag.js'

export const metricFlags = {
  tokenizer: {
    type: 'text',
    option: 'tokenizer',
    choices: tokenizerNames,
    help: 'How metrics split texts; each has its own way by default. whitespace is for texts that are tokenised already.',
  },
  lower: {
    type: 'switch',
    open: true,
    option: 'lowercase',
    help: 'Make letters small before texts are compared; by default as each metric has it.',
  },
  'per-segment': { type: 'text', value: 'FILE', help: 'Write the scores of each segment there, a line of JSON each.' },
  overwrite: { type: 'switch', help: 'Replace the file --per-segment. Never a file that is read.' },
} as const satisfies Flags

/** The names, for a flag's help. */
export const metricList = metricNames.join(', ')

/** What the flags say. */
export const textOptionsOf = (values: {
  readonly tokenizer: string | undefined
  readonly lower: boolean | undefined
}): TextOptions => defined({ tokenizer: values.tokenizer as TokenizerName | undefined, lowercase: values.lower })
