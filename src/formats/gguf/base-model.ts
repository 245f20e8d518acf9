/** @file What a GGUF adapter must know of its base model. */
import { InvalidAdapterError } from '../../errors.js'
import type { TargetModule } from '../../graph/target-module.js'
import { ggufArchitectures, type GgufArchitecture, type RowOrder } from './architectures.js'

/** Heads of the projections whose rows llama.cpp orders in its own way. */
export interface Heads {
  readonly heads: number
  readonly kvHeads: number
}

export interface GgufBase extends Heads {
  readonly architecture: GgufArchitecture
  /** Whether the head is the embedding's table: GGUF files then have no tensor for the head. */
  readonly tied: boolean
}

/** Number of heads that a row order counts. */
export const headsOf = (order: RowOrder, { heads, kvHeads }: Heads): number => (order === 'rotary-k' ? kvHeads : heads)

/** The architectures whose heads are tied where config.json does not say. */
const tiedByDefault = new Set(['gpt2', 'gemma', 'gemma2', 'gemma3_text', 'gemma3'])

type Config = Readonly<Record<string, unknown>>

/**
 * Reads a model's config.json (the part for text, where it has several).
 * @param modules layers of the model, which tell a tied head for sure
 * @throws InvalidAdapterError if llama.cpp's names for the architecture are not known
 */
export function readGgufBase(config: Config, modules?: ReadonlyMap<string, TargetModule>): GgufBase {
  const type = String(config['model_type'])
  const architecture = ggufArchitectures.find(({ modelTypes }) => modelTypes.includes(type))
  if (architecture === undefined)
    throw new InvalidAdapterError(
      `adapters of "${type}" models cannot be written as GGUF; known are ${ggufArchitectures.flatMap((a) => a.modelTypes).join(', ')}`,
    )
  const inner = config['text_config']
  const text = typeof inner === 'object' && inner !== null ? (inner as Config) : config
  const heads = text['num_attention_heads'] ?? text['n_head']
  const kvHeads = text['num_key_value_heads'] ?? heads
  for (const count of [heads, kvHeads])
    if (typeof count !== 'number' || !Number.isInteger(count) || count < 1)
      throw new InvalidAdapterError(`the base model's config.json tells no number of attention heads, but ${String(count)}`)
  const list = [...(modules?.values() ?? [])]
  const head = list.find(({ isOutputHead }) => isOutputHead)
  const told = config['tie_word_embeddings'] ?? text['tie_word_embeddings'] ?? tiedByDefault.has(type)
  const tied = head === undefined ? told === true : list.some((m) => m.kind === 'Embedding' && m.weight === head.weight)
  return { architecture, heads: heads as number, kvHeads: kvHeads as number, tied }
}
