/** @file Names of other programs lead to ours: on the command line, in config files and in the options of the API. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loraFieldTable } from '../adapters/lora-fields.js'
import { commands } from '../cli/app.js'
import { flagsOf, parseFlags } from '../cli/parse.js'
import { UsageError } from '../cli/usage-error.js'
import { trainOptionTable } from '../train/option-table.js'
import { checkKeys } from './option-keys.js'
import { knownAs, ourNameFor, plainName, synonyms } from './synonyms.js'

const train = commands.find(({ name }) => name === 'train')!
const folder = mkdtempSync(join(tmpdir(), 'lowrank-synonyms-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What people type, and the flag of `lowrank train` that they are told. */
const typed: Readonly<Record<string, string>> = {
  ...{ rank: 'r', lora_r: 'r', 'lora-r': 'r', lora_rank: 'r', lora_alpha: 'alpha', loraAlpha: 'alpha', lora_dropout: 'dropout' },
  ...{ 'learning-rate': 'lr', learning_rate: 'lr', batch: 'batch-size', 'epochs-num': 'epochs', num_train_epochs: 'epochs' },
  ...{ per_device_train_batch_size: 'batch-size', gradient_accumulation_steps: 'grad-accum', max_seq_length: 'max-length' },
  ...{ target_modules: 'target-modules', model_name_or_path: 'model', dataset: 'data', output_dir: 'out' },
  ...{ save_steps: 'checkpoint-every', lr_scheduler_type: 'schedule', warmup_ratio: 'warmup', warmup_steps: 'warmup' },
  ...{ iters: 'steps', num_layers: 'layers-to-transform', sequence_len: 'max-length', micro_batch_size: 'batch-size' },
  ...{ grad_accum: 'grad-accum', random_state: 'seed', load_in_4bit: 'base', gradient_checkpointing: 'recompute' },
  ...{ adam_epsilon: 'adam-epsilon', shuffle: 'no-shuffle', init_lora_weights: 'init', eval_steps: 'eval-every' },
  ...{ loraplus_lr_ratio: 'lora-plus-ratio', dry_run: 'dry-run', num_labels: 'num-labels', use_dora: 'use-dora' },
}

const problem = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError)
    return (error as Error).message
  }
  return 'nothing was refused'
}

describe('synonyms', () => {
  it('each leads to a flag of some command or an option of the API, and to one alone', () => {
    const flags = commands.flatMap((command) => Object.entries(flagsOf(command)))
    const names = new Set([
      ...flags.flatMap(([name, { option }]) => [name, option ?? name]),
      ...Object.keys(trainOptionTable),
      ...Object.keys(loraFieldTable),
    ])
    const plain = new Set([...names].map(plainName))
    expect(Object.keys(synonyms).filter((name) => !plain.has(plainName(name)))).toEqual([])
    const words = Object.values(synonyms).flatMap((list) => list.split(' ').map(plainName))
    expect(words.filter((word, i) => words.indexOf(word) !== i)).toEqual([])
    expect(words.filter((word) => word === '')).toEqual([])
  })

  it('none hides a name of ours: a word of the table is no flag of train, and what it stands for is', () => {
    const flags = flagsOf(train)
    const plain = new Map(Object.entries(flags).flatMap(([name, { option }]) => [name, option ?? name].map((each) => [plainName(each), name]))) // prettier-ignore
    for (const [name, words] of Object.entries(synonyms))
      for (const word of words.split(' ')) {
        const own = plain.get(plainName(word))
        // `--alpha` and `--lr` are words of the API's `loraAlpha` and `learningRate`.
        if (own !== undefined) expect(flags[own]!.option, word).toBe(name)
      }
  })

  it.each(Object.entries(typed))('--%s: --%s', (word, flag) => {
    expect(problem(() => parseFlags(train, [`--${word}`, '1']))).toBe(
      `lowrank train: unknown flag "--${word}". Did you mean "--${flag}"?`,
    )
  })

  it.each(Object.entries(typed))('%s in a config file: %s', (word, flag) => {
    const file = join(folder, 'run.yaml')
    writeFileSync(file, `${word}: 1\n`)
    expect(problem(() => parseFlags(train, ['--config', file]))).toBe(
      `${file}: lowrank train has no flag "${word}". Did you mean "${flag}"?`,
    )
  })

  it.each([
    ['learning_rate', 'learningRate'],
    ['lr', 'learningRate'],
    ['gradient_accumulation_steps', 'gradAccum'],
    ['per_device_train_batch_size', 'batchSize'],
    ['num_train_epochs', 'epochs'],
    ['output_dir', 'out'],
  ])('train(…, { %s }): %s', (word, option) => {
    expect(() => checkKeys({ [word]: 1 }, trainOptionTable, 'train')).toThrow(
      `train: unknown option "${word}"; did you mean ${option}?`,
    )
  })

  it.each([
    ['lora_alpha', 'loraAlpha'],
    ['rank', 'r'],
    ['target_modules', 'targetModules'],
    ['peft_use_dora', 'useDora'],
  ])('addLora(…, { %s }): %s', (word, option) => {
    expect(() => checkKeys({ [word]: 1 }, loraFieldTable, 'addLora')).toThrow(
      `addLora: unknown option "${word}"; did you mean ${option}?`,
    )
  })

  it('names nothing that is not there', () => {
    expect(ourNameFor('frobnicate')).toBeUndefined()
    expect(knownAs('lora_rank', [['alpha', 'loraAlpha']])).toBeUndefined()
    expect(() => checkKeys({ lora_rank: 1 }, { epsilon: true }, 'LayerNorm')).toThrow('known are epsilon')
  })
})
