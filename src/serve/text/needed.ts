/** @file What a request needs of the model that is served. */
import type { Tokenizer } from '../../public.js'
import { invalidRequest } from '../http/api-error.js'
import type { Service } from '../service.js'

/** @throws ApiError 400 for a model without a tokenizer */
export function neededTokenizer({ tokenizer, modelName }: Service, param: string): Tokenizer {
  if (tokenizer !== undefined) return tokenizer
  throw invalidRequest(`${modelName} has no tokenizer, so \`${param}\` cannot be text; send token ids to /v1/completions.`, param)
}

/** @throws ApiError 400 for a model that writes no text */
export function checkWrites({ model, modelName }: Service): void {
  if (model.task.name === 'causal-lm') return
  throw invalidRequest(`${modelName} writes no text: it is for ${model.task.name}.`, 'model', 'wrong_task')
}

/** Characters of the longest tokens that vocabularies have. */
const LONGEST_TOKEN = 256

/**
 * A text that cannot fit is not made into tokens first, which may take seconds in which nobody else is answered.
 * @throws ApiError 400 for one that is longer than all positions together can be
 */
export function checkLength({ model, modelName }: Service, text: string, param: string): void {
  if (text.length <= model.maxPositions * LONGEST_TOKEN) return
  throw invalidRequest(
    `${modelName} has ${model.maxPositions} positions, but \`${param}\` has ${text.length} characters; shorten it.`,
    param,
    'context_length_exceeded',
  )
}

/**
 * @param room tokens that are wanted behind the prompt at least
 * @throws ApiError 400 for a prompt that the model has no positions for, or with tokens that it has not
 */
export function checkPrompt({ model, modelName }: Service, prompt: readonly number[], param: string, room = 1): void {
  const { maxPositions } = model
  if (prompt.length === 0) throw invalidRequest(`\`${param}\` has no tokens; there is nothing to go on from.`, param)
  if (prompt.length + room > maxPositions)
    throw invalidRequest(
      `${modelName} has ${maxPositions} positions, but \`${param}\` has ${prompt.length} tokens${room === 0 ? '' : ', which leaves no room for an answer'}; shorten it.`,
      param,
      'context_length_exceeded',
    )
  checkTokens({ model, modelName }, prompt, param)
}

/** @throws ApiError 400 for tokens that the model has not */
export function checkTokens(
  { model: { vocabularySize }, modelName }: Pick<Service, 'model' | 'modelName'>,
  ids: readonly number[],
  param: string,
): void {
  const wrong = ids.find((id) => id >= vocabularySize)
  if (wrong !== undefined)
    throw invalidRequest(`\`${param}\` has the token ${wrong}, but the vocabulary of ${modelName} has ${vocabularySize}.`, param)
}
