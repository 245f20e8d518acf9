/**
 * @file Presets: settings that go together, each with its reason. The sources of the reasons are in docs/presets.md, whose
 * tables are made from these.
 *
 * To add a preset: its name in preset-names.ts, and the entry that the compiler then asks for.
 */
import type { LoraConfig } from '../adapters/lora-config.js'
import { InvalidOptionError } from '../errors.js'
import type { BaseScheme } from '../quantize/base-schemes.js'
import type { TrainOptions } from './options.js'
import { presetNames, type PresetName } from './preset-names.js'

/** Options of `loadModel` that presets set. */
export interface PresetLoadOptions {
  /** How the frozen weights are held. */
  readonly base?: BaseScheme
}

/** A value of an option, and why. */
export interface PresetSetting<V = unknown> {
  /** What the option is set to. */
  readonly value: V
  /** The reason, in words. */
  readonly why: string
  /** Only of some runs. */
  readonly when?: PresetCondition
}

/** Which runs get a setting, by what else is given. */
export interface PresetCondition {
  /** For documents: `only where the run evaluates`. */
  readonly says: string
  /** Whether a run with these options on such a model gets it. */
  readonly holds: (given: Partial<TrainOptions>, model: PresetModel) => boolean
}

/** What a preset's settings depend on of the model. */
export interface PresetModel {
  /** Whether rows of it may hold several examples. */
  readonly packs: boolean
}

/** Settings of some of the options of a function. */
export type PresetSettings<O> = { readonly [K in keyof O]?: PresetSetting<Exclude<O[K], undefined>> }

/** What a preset is for, and its settings by the function that takes them. */
export interface Preset {
  /** What it is for, in a sentence. */
  readonly about: string
  /** Of `loadModel`. */
  readonly load: PresetSettings<PresetLoadOptions>
  /** Of `addLora`. */
  readonly lora: PresetSettings<LoraConfig>
  /** Of `train`. */
  readonly train: PresetSettings<Omit<TrainOptions, 'data' | 'preset'>>
}

const unlessSteps: PresetCondition = { says: 'unless steps are given', holds: ({ steps }) => steps === undefined }

const allLinear = {
  value: 'all-linear',
  why: 'adapters on attention alone learn less, even with as many parameters',
} as const
const tenfold = { value: 2e-4, why: 'about ten times what full fine-tuning takes (2e-5), at any rank' } as const
const decay = { value: 'cosine', why: 'the last steps are small, so that the end is not left to the last batches' } as const
const warmup = { value: 0.03, why: 'the first steps are taken before the moments of AdamW mean much' } as const
const recompute = { value: true, why: 'activations inside blocks are not kept: less memory, about a third more time, the same numbers' } as const // prettier-ignore
const unlessKto: PresetCondition = {
  says: 'unless the objective is kto, whose batches have several rows',
  holds: ({ objective }) => objective !== 'kto',
}
const oneRow = { value: 1, why: 'the activations of one row at a time are kept', when: unlessKto } as const
const eightTimes = {
  value: 8,
  why: 'an update is still of eight rows, weighted by their tokens',
  when: unlessKto,
} as const
const rank8 = { value: 8, why: 'enough for some thousand rows; each doubling doubles what is trained' } as const

/** All presets by name. */
export const presets: Readonly<Record<PresetName, Preset>> = {
  quick: {
    about: 'A first look: whether the rows teach anything, in little time.',
    load: {},
    lora: {
      targetModules: allLinear,
      r: rank8,
      loraAlpha: { value: 16, why: 'scale 16/8 = 2' },
    },
    train: {
      learningRate: { value: 3e-4, why: 'short runs take about fifteen times what full fine-tuning takes, for B begins at zero' },
      schedule: { value: 'linear', why: 'falls to zero over the one pass that there is' },
      warmup,
      epochs: { value: 1, why: 'each row once', when: unlessSteps },
      batchSize: { value: 8, why: 'small updates: LoRA bears large batches less well than full fine-tuning' },
      groupByLength: {
        value: true,
        why: 'rows of like length share a batch: less padding is computed',
        when: { says: 'unless rows are packed', holds: ({ packing }) => packing !== true },
      },
    },
  },
  quality: {
    about: 'The best result that the rows allow, where time and memory are there.',
    load: {},
    lora: {
      targetModules: allLinear,
      r: { value: 32, why: 'room for more than the rows of a small task hold' },
      loraAlpha: { value: 16, why: 'scale 16/√32 = 2.8' },
      useRslora: { value: true, why: 'with alpha/r a larger rank takes smaller steps; alpha/√r keeps their size' },
    },
    train: {
      learningRate: tenfold,
      schedule: decay,
      warmup,
      epochs: { value: 3, why: 'more passes learn rows by heart', when: unlessSteps },
      batchSize: { value: 8, why: 'small updates: LoRA bears large batches less well than full fine-tuning' },
      earlyStopping: {
        value: 3,
        why: 'ends after three evaluations that are no better; the best is kept',
        when: {
          says: 'only of runs that evaluate',
          holds: ({ evalData, valSplit, keepBest }) => (evalData ?? valSplit) !== undefined && keepBest !== false,
        },
      },
    },
  },
  'long-context': {
    about: 'Rows of thousands of tokens. Say their length with maxLength (--max-length).',
    load: {},
    lora: {
      targetModules: allLinear,
      r: { value: 16, why: 'long rows have more tokens to learn from' },
      loraAlpha: { value: 32, why: 'scale 32/16 = 2' },
    },
    train: {
      learningRate: tenfold,
      schedule: decay,
      warmup,
      batchSize: oneRow,
      gradAccum: eightTimes,
      recompute,
      packing: {
        value: true,
        why: 'short rows share one of maxLength tokens and do not see each other: no step is mostly padding',
        when: {
          says: 'of language models that are folders, unless rows are grouped by length or are preferences',
          holds: ({ groupByLength, objective = 'sft' }, { packs }) => packs && groupByLength !== true && objective === 'sft',
        },
      },
    },
  },
  'small-memory': {
    about: 'The least memory, for models that hardly fit.',
    load: {
      base: { value: 'int4', why: 'frozen weights in blocks of 4 bits take an eighth of their memory (QLoRA)' },
    },
    lora: {
      targetModules: { value: 'all-linear', why: 'on a quantised base adapters on all layers make up for what it lost (QLoRA)' },
      r: rank8,
      loraAlpha: { value: 16, why: 'scale 16/8 = 2' },
    },
    train: {
      learningRate: tenfold,
      schedule: decay,
      warmup,
      batchSize: oneRow,
      gradAccum: eightTimes,
      recompute,
    },
  },
}

/** A setting with the function and the option that it is of. */
export interface NamedSetting extends PresetSetting {
  readonly of: 'load' | 'lora' | 'train'
  readonly option: string
}

/**
 * The settings of a preset that a run gets: none of options that are given, nor of those that would contradict them.
 * @param given the options beside the preset, of all three functions
 * @param model what it depends on of the model; a language model by default
 */
export function presetSettings(
  name: PresetName,
  given: Readonly<Record<string, unknown>> = {},
  model: PresetModel = { packs: true },
): NamedSetting[] {
  return (['load', 'lora', 'train'] as const).flatMap((of) =>
    Object.entries(presets[name][of] as Readonly<Record<string, PresetSetting>>)
      .filter(([option, { when }]) => given[option] === undefined && when?.holds(given, model) !== false)
      .map(([option, setting]) => ({ of, option, ...setting })),
  )
}

const optionsOf = (settings: readonly NamedSetting[], of: NamedSetting['of']): Record<string, unknown> =>
  Object.fromEntries(settings.filter((each) => each.of === of).map(({ option, value }) => [option, value]))

/** Options to spread, by the function that takes them. */
export interface PresetOptions {
  /** Of `loadModel`. */
  readonly load: PresetLoadOptions
  /** Of `addLora`. */
  readonly lora: Partial<LoraConfig>
  /** With `preset`, by which the model card names it. */
  readonly train: Partial<TrainOptions>
}

/**
 * The options of a preset, for `loadModel`, `addLora` and `train`; what one changes goes behind the spread. Those that depend
 * on other options are added by `train`.
 * @throws InvalidOptionError for a name that no preset has
 * @example
 * const quality = presetOptions('quality')
 * const adapter = await addLora(await loadModel('demo/base', quality.load), quality.lora)
 * for await (const event of train(adapter, { ...quality.train, data: 'train.jsonl', out: 'out' })) console.log(event)
 */
export function presetOptions(name: PresetName): PresetOptions {
  if (!Object.hasOwn(presets, name))
    throw new InvalidOptionError(`presetOptions: there is no preset ${JSON.stringify(name)}; known are ${presetNames.join(', ')}`)
  // With `preset` in the spread, train adds the others to what is then given.
  const settings = presetSettings(name).filter(({ when }) => when === undefined)
  return {
    load: optionsOf(settings, 'load'),
    lora: optionsOf(settings, 'lora'),
    train: { preset: name, ...optionsOf(settings, 'train') },
  }
}

/** Options of a run with those of its preset where they are not given; without a known preset as they are. */
export function withPreset<O extends TrainOptions>(options: O, model?: PresetModel): O {
  const preset = (options as Partial<TrainOptions> | null | undefined)?.preset
  if (preset === undefined || !Object.hasOwn(presets, preset)) return options
  return { ...options, ...optionsOf(presetSettings(preset, { ...options } as Readonly<Record<string, unknown>>, model), 'train') }
}
