/** @file Small decoders with and without other heads: logits-decoders.json, made by test/oracle/write-decoders.py. */
import { readFileSync } from 'node:fs'
import type { Json } from '../../src/models/config-reader.js'

export type Side = 'right' | 'left'
type Rows = readonly (readonly number[])[]

export interface DecoderCase {
  readonly config: Record<string, Json>
  /** PyTorch's parameters, tied ones once. */
  readonly weights: readonly string[]
  /** PyTorch's linear layers and embeddings. */
  readonly modules: readonly string[]
  /** Of the logits. */
  readonly shape: readonly number[]
  /** By the side that is padded. */
  readonly logits: Readonly<Record<Side, readonly number[]>>
}

export interface DecoderCases {
  readonly input_ids: Readonly<Record<Side, Rows>>
  readonly attention_masks: Readonly<Record<Side, Rows>>
  readonly cases: Readonly<Record<string, DecoderCase>>
}

export const decoderCases = JSON.parse(readFileSync('test/fixtures/models/logits-decoders.json', 'utf8')) as DecoderCases

export const languageModelCases: readonly (readonly [string, DecoderCase])[] = Object.entries(decoderCases.cases).filter(
  ([, { config }]) => /CausalLM$|ConditionalGeneration$/.test((config['architectures'] as string[])[0]!),
)
