/** @file `--json-schema`: the schema of answers, from a file or as it is. */
import { neededTokenizer } from '../data/needed-tokenizer.js'
import { InvalidOptionError } from '../errors.js'
import type { Constraint, Model } from '../index.js'
import type { Flags } from './flag.js'
import { library } from './sources.js'

export const jsonSchemaFlag = {
  'json-schema': {
    type: 'text',
    value: 'FILE|JSON',
    help: 'Texts are JSON that this schema allows; {"type":"object"} allows any object. One that --max-new-tokens cuts off says so: its "finishReason" is "length".',
  },
} as const satisfies Flags

/**
 * The constraint that a flag asks for, as an option of generation.
 * @throws InvalidOptionError if it is no JSON or a schema that is not supported; FileError for a file that is missing
 */
export async function schemaConstraint(
  model: Model,
  { 'json-schema': given }: { readonly 'json-schema': string | undefined },
): Promise<{ readonly constraint?: Constraint }> {
  if (given === undefined) return {}
  const isJson = /^\s*([{]|(true|false)\s*$)/.test(given)
  const source = isJson ? '--json-schema' : given
  const text = isJson ? given : await model.environment.files.readText(given)
  let schema: unknown
  try {
    schema = JSON.parse(text)
  } catch (cause) {
    throw new InvalidOptionError(`${source} is not valid JSON (${(cause as Error).message}); it must be a JSON Schema.`, {
      cause,
    })
  }
  const { jsonSchemaConstraint } = await library()
  const tokenizer = neededTokenizer(await model.tokenizer(), `--json-schema needs a tokenizer, and ${model.path}`)
  return { constraint: jsonSchemaConstraint(tokenizer, schema as Record<string, unknown>) }
}
