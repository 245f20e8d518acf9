/** @file The tokens that are continued. */
import { neededTokenizer } from '../data/needed-tokenizer.js'
import type { Tokenizer } from '../data/tokenizer.js'
import { InvalidDataError, InvalidOptionError } from '../errors.js'
import type { Model } from '../model/model.js'
import { OnnxModel } from '../onnx-model/onnx-model.js'
import type { GenerateOptions, PromptOption } from './generate-options.js'

/** @throws InvalidOptionError for a model that writes no text */
export function checkGenerates(model: Model): void {
  if (model instanceof OnnxModel) throw new InvalidOptionError(model.cannotGenerate)
  if (model.task.name !== 'causal-lm')
    throw new InvalidOptionError(`only language models write text; ${model.path} is for ${model.task.name}`)
}

/**
 * The tokens of a prompt.
 * @throws InvalidOptionError for a model that writes no text, and unless there is exactly one prompt, with a token; InvalidDataError for
 * text without a tokenizer and ids that the model has not
 */
export function promptIds(
  model: Model,
  tokenizer: Tokenizer | undefined,
  options: Pick<GenerateOptions, PromptOption>,
): readonly number[] {
  checkGenerates(model)
  const given = [options.prompt, options.messages, options.inputIds].filter((v) => v !== undefined).length
  if (given !== 1)
    throw new InvalidOptionError(
      `give exactly one of prompt, messages and inputIds; ${given === 0 ? 'none was given' : `${given} were given`}`,
    )
  if (options.variables !== undefined && options.messages === undefined)
    throw new InvalidOptionError('variables are for the chat template of messages; give messages with them')
  let ids: readonly number[]
  if (options.inputIds !== undefined) ids = options.inputIds
  else {
    const known = neededTokenizer(tokenizer, `a text cannot be continued: ${model.path}`, 'give inputIds')
    ids =
      options.messages === undefined
        ? known.encodePrompt(options.prompt!)
        : known.encode(
            known.applyChatTemplate(options.messages, {
              addGenerationPrompt: true,
              ...(options.variables && { variables: options.variables }),
            }),
            { addSpecialTokens: false },
          )
  }
  if (ids.length === 0)
    throw new InvalidOptionError('the prompt is empty and the tokenizer puts nothing before it: there is nothing to continue')
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= model.vocabularySize)
  if (wrong !== undefined)
    throw new InvalidDataError(`token id ${wrong} of the prompt is not in the model's vocabulary of ${model.vocabularySize}`)
  return ids
}
