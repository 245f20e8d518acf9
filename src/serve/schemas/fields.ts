/** @file Kinds of fields that requests share. */
import * as z from 'zod'

type Optional<T extends z.ZodType> = z.ZodPipe<
  z.ZodOptional<z.ZodNullable<T>>,
  z.ZodTransform<z.output<T> | undefined, z.output<T> | null | undefined>
>

/** A field that may be left out or be null, which OpenAI's clients send for what they leave open. */
export const optional = <T extends z.ZodType>(schema: T): Optional<T> => schema.nullish().transform((value) => value ?? undefined)

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/**
 * A field that other servers know and this one cannot honour: it is refused by name, for an answer without it would not be what was asked for.
 * @param instead what to do
 * @param idle values that ask for nothing
 */
export const unsupported = (instead: string, ...idle: readonly unknown[]): z.ZodOptional<z.ZodUnknown> =>
  z
    .unknown()
    .optional()
    .refine((value) => value === undefined || value === null || idle.some((each) => sameJson(each, value)), {
      error: `not supported by this server; ${instead}`,
    })
    .meta({ description: `Refused: ${instead}.`, deprecated: true })

/** A list of token ids. */
export const tokenIds = z.array(z.int().min(0))

/** How much an adapter counts. The graph's numbers have 32 bits, and it multiplies them by the scale. */
export const adapterScale = z.number().min(-1e6).max(1e6)

const lora = z.array(
  z.object({
    id: z.int().min(0).optional().describe('Number of the adapter, as GET /lora-adapters tells it.'),
    name: z.string().optional().describe('Name of the adapter, as GET /v1/models tells it.'),
    scale: adapterScale.optional().describe('How much its change counts; 1 unless given.'),
  }),
)

/** Who answers: the model, and the adapters on it. */
export const subjectFields = {
  model: optional(z.string()).describe('Name of the base model or of an adapter; the base model without it.'),
  lora: optional(lora).describe('Adapters that are added up, by name or, as in llama.cpp, by id.'),
  adapter_id: optional(z.string()).describe('Name of an adapter, as LoRAX writes it.'),
  adapters: optional(z.string()).describe('Name of an adapter, as mlx-lm writes it.'),
}

/** What is asked for under these fields. */
export type SubjectFields = { readonly [K in keyof typeof subjectFields]: z.infer<(typeof subjectFields)[K]> }
