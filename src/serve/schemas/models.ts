/** @file Models, adapters, tokens and what the server says of itself. */
import * as z from 'zod'
import { messages, templateFields } from './chat.js'
import { adapterScale, optional, tokenIds, unsupported } from './fields.js'

export const modelView = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  root: z.string().describe('Where it was loaded from: a hub id, or the last part of a path.'),
  parent: z.string().nullable().describe('Of an adapter its base model.'),
  max_model_len: z.int().optional(),
})

export const modelList = z.object({ object: z.literal('list'), data: z.array(modelView) })

export const loadAdapterRequest = z.object({
  lora_name: optional(z.string()),
  lora_path: optional(z.string()).describe('A folder in that of the adapters, or a hub id that is allowed.'),
  load_inplace: optional(z.boolean()).describe('Take the place of the adapter of this name.'),
})

export const unloadAdapterRequest = z.object({ lora_name: optional(z.string()), lora_int_id: optional(z.int()) })

export const adapterScales = z.array(z.object({ id: z.int().min(0), scale: adapterScale }))

export const adapterList = z.array(z.object({ id: z.int(), path: z.string(), scale: z.number() }))

export const success = z.object({ success: z.literal(true) })

export const tokenizeRequest = z
  .object({
    content: optional(z.string()).describe('A text, as llama.cpp writes it.'),
    add_special: optional(z.boolean()).describe('Put what the tokenizer puts before a text before it; false unless given.'),
    parse_special: unsupported("names of special tokens in a text are those tokens, as the model's tokenizer has it", true),
    with_pieces: optional(z.boolean()).describe('Tell the text of each token too.'),
    prompt: optional(z.string()).describe('A text, as vLLM writes it.'),
    add_special_tokens: optional(z.boolean()).describe('Of prompt and messages; true unless given, of messages false.'),
    return_token_strs: optional(z.boolean()).describe('Tell the text of each token too, as vLLM does.'),
    messages: optional(messages).describe('A dialogue, by the chat template.'),
    ...templateFields,
  })
  .refine(
    ({ content, prompt, messages: dialogue }) => [content, prompt, dialogue].filter((each) => each !== undefined).length === 1,
    {
      error: 'give exactly one of `content`, `prompt` and `messages`',
    },
  )

/** What is asked to become tokens. */
export type TokenizeRequest = z.infer<typeof tokenizeRequest>

export const tokenizeAnswer = z.object({
  tokens: z.array(z.union([z.int(), z.object({ id: z.int(), piece: z.union([z.string(), z.array(z.int())]) })])),
  count: z.int(),
  max_model_len: z.int(),
  token_strs: z.array(z.string()).nullable(),
})

export const detokenizeRequest = z.object({ tokens: tokenIds })
export const detokenizeAnswer = z.object({ content: z.string(), prompt: z.string() })

export const applyTemplateRequest = z.object({ messages, ...templateFields })
export const applyTemplateAnswer = z.object({ prompt: z.string() })

export const props = z.object({
  default_generation_settings: z.object({ n_ctx: z.int(), params: z.record(z.string(), z.unknown()) }),
  total_slots: z.int(),
  model_alias: z.string(),
  model_path: z.string(),
  chat_template: z.string(),
  bos_token: z.string(),
  eos_token: z.string(),
  modalities: z.object({ vision: z.literal(false), audio: z.literal(false) }),
  build_info: z.string(),
  is_sleeping: z.literal(false),
})

export const health = z.object({ status: z.string() })
