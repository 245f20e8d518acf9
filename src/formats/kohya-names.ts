/** @file Module paths from kohya's names, in which every dot has become an underscore. */
import { InvalidAdapterError } from '../errors.js'

/** Names with underscores of their own in diffusers' and CLIP's modules; all others are single words or numbers. */
const WORDS =
  [
  'down_blocks', 'up_blocks', 'mid_block', 'transformer_blocks', 'single_transformer_blocks', 'input_blocks', 'output_blocks',
  'middle_block', 'double_blocks', 'single_blocks', 'to_q', 'to_k', 'to_v', 'to_out', 'to_add_out', 'add_q_proj', 'add_k_proj',
  'add_v_proj', 'proj_in', 'proj_out', 'proj_mlp', 'ff_context', 'time_embedding', 'time_emb_proj', 'add_embedding',
  'linear_1', 'linear_2', 'conv_in', 'conv_out', 'conv_shortcut', 'text_model', 'text_projection', 'self_attn', 'q_proj', 'k_proj', 'v_proj',
  'out_proj', 'token_embedding', 'position_embedding', 'img_attn', 'txt_attn', 'img_mlp', 'txt_mlp', 'img_mod', 'txt_mod',
  'img_in', 'txt_in', 'time_in', 'vector_in', 'guidance_in', 'final_layer', 'in_layer', 'out_layer', 'in_layers', 'out_layers', 'emb_layers',
  'skip_connection', 'time_embed', 'label_emb', 'norm_out', 'context_embedder', 'x_embedder', 'adaLN_modulation', 'o_proj', 'gate_proj',
  'up_proj', 'down_proj', 'fc1', 'fc2',
] // prettier-ignore
    .map((word) => word.split('_'))
    .sort((a, b) => b.length - a.length)

/** Single words that occur in those modules. */
const SINGLE = new Set(
  'attentions resnets downsamplers upsamplers conv conv1 conv2 attn attn1 attn2 ff net proj mlp encoder layers fc1 fc2 qkv lin linear linear1 linear2 modulation op block layer SelfAttention DenseReluDense EncDecAttention q k v o wi wo norm1 norm2 embed'.split(
    ' ',
  ),
)

/**
 * `down_blocks_0_attentions_1_proj_in` as `down_blocks.0.attentions.1.proj_in`: by the modules of the base where they are
 * known, else by the words that pipelines are made of.
 * @throws InvalidAdapterError if a part is none of them
 */
export function dottedName(flat: string, modules: Iterable<string> | undefined): string {
  if (modules !== undefined) {
    for (const name of modules) if (name.replaceAll('.', '_') === flat) return name
    throw new InvalidAdapterError(`no module of the model has the name "${flat}" when its dots become underscores`)
  }
  const parts = flat.split('_')
  const result: string[] = []
  for (let at = 0; at < parts.length;) {
    const word = WORDS.find((candidate) => candidate.every((part, i) => parts[at + i] === part))
    if (word === undefined && !/^\d+$/.test(parts[at]!) && !SINGLE.has(parts[at]!))
      throw new InvalidAdapterError(
        `"${flat}" cannot be told apart into module names: "${parts[at]}" is of no pipeline that is known; give the base model (--model)`,
      )
    const length = word?.length ?? 1
    result.push(parts.slice(at, at + length).join('_'))
    at += length
  }
  return result.join('.')
}
