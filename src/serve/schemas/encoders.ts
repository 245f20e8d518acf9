/** @file Endpoints of models with a head: embeddings, classes, order, tags, answers. */
import * as z from 'zod'
import { optional, subjectFields, unsupported } from './fields.js'
import { promptField } from './completions.js'

export const encoderUsage = z.object({ prompt_tokens: z.int(), completion_tokens: z.int().optional(), total_tokens: z.int() })

/** What was read. */
export type EncoderUsage = z.infer<typeof encoderUsage>

export const embeddingsRequest = z.object({
  ...subjectFields,
  input: promptField.describe('Texts. Tokens are refused: this server makes them itself.'),
  encoding_format: optional(z.enum(['float', 'base64'])).describe('base64 is float32, little-endian.'),
  dimensions: optional(z.int().min(1)).describe("Only the model's own width: no model here says that it may be cut."),
  prompt_name: optional(z.string()).describe('A prompt that the model puts before texts, as sentence-transformers names it.'),
  user: optional(z.string()).describe('Not used.'),
  truncate_prompt_tokens: unsupported('texts are cut at the positions of the model'),
})

/** What is asked for vectors. */
export type EmbeddingsRequest = z.infer<typeof embeddingsRequest>

export const embeddingsAnswer = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({ object: z.literal('embedding'), index: z.int(), embedding: z.union([z.array(z.number()), z.string()]) }),
  ),
  model: z.string(),
  usage: encoderUsage,
})

const texts = z.union([z.string(), z.array(z.string()).min(1)])

export const classifyRequest = z.object({ ...subjectFields, input: texts })

/** What is asked for classes. */
export type TextsRequest = z.infer<typeof classifyRequest>

const listHeader = { id: z.string(), object: z.literal('list'), created: z.int(), model: z.string() }

export const classifyAnswer = z.object({
  ...listHeader,
  data: z.array(
    z.object({
      index: z.int(),
      label: z.string().nullable().describe('The likeliest; null of a regression.'),
      labels: z.array(z.string()).optional().describe('Of a model with several labels at once: those above one half.'),
      probs: z.array(z.number()).describe('By the number of the label; of a regression its values.'),
      num_classes: z.int(),
    }),
  ),
  usage: encoderUsage,
})

export const rerankRequest = z.object({
  ...subjectFields,
  query: z.string(),
  documents: z.array(z.union([z.string(), z.object({ text: z.string() })])).min(1),
  top_n: optional(z.int().min(1)).describe('The best so many; all unless given.'),
  return_documents: optional(z.boolean()).describe('Whether the texts are told back; true unless given.'),
})

/** What is asked for an order. */
export type RerankRequest = z.infer<typeof rerankRequest>

export const rerankAnswer = z.object({
  id: z.string(),
  model: z.string(),
  results: z
    .array(z.object({ index: z.int(), document: z.object({ text: z.string() }).optional(), relevance_score: z.number() }))
    .describe('The most relevant first.'),
  usage: encoderUsage,
})

const place = { start: z.int(), end: z.int() }

export const tokenClassifyRequest = z.object({ ...subjectFields, input: texts })

export const tokenClassifyAnswer = z.object({
  ...listHeader,
  data: z.array(
    z.object({
      index: z.int(),
      entities: z.array(z.object({ entity: z.string(), score: z.number(), text: z.string(), ...place })),
      words: z.array(z.object({ word: z.string(), label: z.string(), score: z.number(), ...place })),
    }),
  ),
  usage: encoderUsage,
})

export const answerRequest = z.object({
  ...subjectFields,
  question: z.string(),
  context: z.string(),
  top_k: optional(z.int().min(1)).describe('How many answers are told; the best alone unless given.'),
  max_answer_length: optional(z.int().min(1)).describe('Most tokens of an answer, 15 unless given.'),
})

/** What is asked for an answer. */
export type AnswerRequest = z.infer<typeof answerRequest>

const answerSpan = z.object({ answer: z.string(), score: z.number(), ...place })

export const answerAnswer = z.object({
  id: z.string(),
  model: z.string(),
  ...answerSpan.shape,
  answers: z.array(answerSpan).optional(),
  usage: encoderUsage,
})
