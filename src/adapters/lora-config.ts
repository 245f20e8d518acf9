/** @file The options of a LoRA adapter: PEFT's `LoraConfig` in camelCase. */
import type { JsonValue } from '../util/python-json.js'

/** How A and B begin: true, false, `gaussian`, and in adapters of others further names that PEFT knows. */
export type InitLoraWeights = boolean | string

/** PEFT 0.21's `LoraConfig`, as far as we read it; what we do not read travels in `other`. */
export interface LoraConfig {
  /** Rank of A and B, above 0. */
  readonly r: number
  /** Numerator of the scale. */
  readonly loraAlpha: number
  /** Probability, in [0, 1), of dropping an element of the branch's input while training. */
  readonly loraDropout: number
  /**
   * Names or name endings, a Python regular expression for the whole name, `all-linear`, or null for the architecture's default.
   * `none` gives no layer a branch: with `bias: 'all'` only biases (and a head) are trained, which is BitFit (Ben Zaken et al., 2022).
   */
  readonly targetModules: readonly string[] | string | null
  /** Same rule as `targetModules`; what it matches is left alone. */
  readonly excludeModules: readonly string[] | string | null
  /** Modules trained in full and stored whole; never adapted. */
  readonly modulesToSave: readonly string[] | null
  /** Kept for files only: the orientation is decided by the kind of the layer (PEFT overwrites the flag). */
  readonly fanInFanOut: boolean
  /** Biases of the base that are trained and stored. */
  readonly bias: 'none' | 'all' | 'lora_only'
  /** Scale alpha/√r instead of alpha/r (Kalajdzievski, 2023). */
  readonly useRslora: boolean
  /** Weight-decomposed LoRA (Liu et al., 2024). */
  readonly useDora: boolean
  /** B has a bias. */
  readonly loraBias: boolean
  /** true, false, `gaussian`, … (how A and B begin). */
  readonly initLoraWeights: InitLoraWeights
  /** Ranks by regular expressions for the end of module names; the first that matches counts. */
  readonly rankPattern: Readonly<Record<string, number>>
  /** Alphas by regular expressions for the end of module names; the first that matches counts. */
  readonly alphaPattern: Readonly<Record<string, number>>
  /** Keeps only these layer indices. */
  readonly layersToTransform: number | readonly number[] | null
  /** Name of the list of layers, for example `layers`. */
  readonly layersPattern: string | readonly string[] | null
  /** Rows of the embedding that are trained, alone; by the embedding's name where it is not the first. */
  readonly trainableTokenIndices: readonly number[] | Readonly<Record<string, readonly number[]>> | null
  /** Ranges [first, end) of the base's layers that stand in a row in the adapted model; those named twice are copies with adapters of their own. */
  readonly layerReplication: readonly (readonly [number, number])[] | null
  /** PEFT's task: `CAUSAL_LM`, `SEQ_CLS`, … */
  readonly taskType: string | null
  /** Id or folder of the base model. */
  readonly baseModelNameOrPath: string | null
  /** Revision of the base model on the hub. */
  readonly revision: string | null
  /** Keys that PEFT knows and we only carry along, by PEFT's own names. */
  readonly other: Readonly<Record<string, JsonValue>>
}

/** PEFT's name of a field: `targetModules` is `target_modules`. */
export const peftKey = (field: keyof LoraConfig): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** What PEFT writes into a file whose adapter has no branch at all (its `DUMMY_TARGET_MODULES`). */
export const NO_TARGETS_IN_FILES = 'dummy-target-modules'

/** `none`, or PEFT's word for it: what else the configuration names is trained, and no layer gets a branch. */
export const isNoTarget = (targets: LoraConfig['targetModules']): boolean =>
  typeof targets === 'string' && (targets.toLowerCase() === 'none' || targets === NO_TARGETS_IN_FILES)

/** `all-linear` in any spelling of its letters, as PEFT reads it. */
export const isAllLinear = (targets: LoraConfig['targetModules']): boolean =>
  typeof targets === 'string' && targets.toLowerCase() === 'all-linear'
