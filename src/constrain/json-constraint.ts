/** @file Texts that are JSON: any object, or what a JSON Schema allows. */
import type { Tokenizer } from '../data/tokenizer.js'
import { tokenizerArgument } from '../data/tokenizer-argument.js'
import type { Constraint } from '../generate/constraint.js'
import { checkArgument } from '../util/arguments.js'
import { either, literal, nothing, sequence, type Expression } from './expression.js'
import { GrammarConstraint } from './grammar-constraint.js'
import { anyObject } from './json.js'
import { readSchema } from './schema/read.js'

/** A JSON Schema: an object of keywords, or true for any value. */
export type JsonSchema = boolean | Readonly<Record<string, unknown>>

/** Models whose tokens bring their spaces begin an answer with one. */
const answer = (value: Expression): Expression => sequence(either(nothing, literal(' '), literal('\n')), value)

/**
 * Texts that are one object of JSON, whatever is in it ("JSON mode").
 * @throws InvalidOptionError if the tokenizer's texts are not the bytes of its tokens, as BERT's are not
 * @example
 * const tokenizer = await model.tokenizer()
 * const { text } = await generate(model, { messages, constraint: jsonObjectConstraint(tokenizer!) })
 */
export function jsonObjectConstraint(tokenizer: Tokenizer): Constraint {
  checkArgument(tokenizer, tokenizerArgument, 'jsonObjectConstraint')
  return new GrammarConstraint(tokenizer, answer(anyObject))
}

/**
 * Texts that are one value of JSON which a schema allows. A text that ends by itself is whole and valid; one that `maxNewTokens` cuts off
 * says so by its `finishReason`.
 *
 * Understood are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `patternProperties`, `propertyNames`,
 * `minProperties`, `maxProperties`, `items`, `prefixItems`, `minItems`, `maxItems`, `minLength`, `maxLength`, `pattern`, `format`,
 * `minimum`, `maximum`, their exclusive forms, `multipleOf` of whole numbers, `anyOf`, `allOf`, `oneOf` whose branches exclude one another,
 * and `$ref` within the schema, recursive too. Properties come in the order of the schema; of what it leaves open the least is
 * written: an object with `properties` has no others unless `additionalProperties` allows them, a number at most 15 digits.
 * @param schema JSON Schema of draft 7 or 2020-12; the same object may be used for many texts, and what is found out is kept
 * @throws InvalidOptionError naming a keyword that is not supported, and where it is; if no value fits; as `jsonObjectConstraint`
 * @example
 * const schema = { type: 'object', properties: { city: { type: 'string' }, celsius: { type: 'number' } }, required: ['city', 'celsius'] }
 * const constraint = jsonSchemaConstraint(tokenizer, schema)
 * const { text } = await generate(model, { prompt: 'The weather in Oslo: ', constraint })
 */
export function jsonSchemaConstraint(tokenizer: Tokenizer, schema: JsonSchema): Constraint {
  checkArgument(tokenizer, tokenizerArgument, 'jsonSchemaConstraint')
  return new GrammarConstraint(tokenizer, answer(readSchema(schema)))
}
