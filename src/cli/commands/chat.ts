/** @file `lowrank chat`. */
import { generateOptionTable } from '../../generate/generate-options.js'
import { publicName } from '../../serve/text/model-name.js'
import { Conversation } from '../chat/conversation.js'
import { chatLoop } from '../chat/loop.js'
import { TypedLines } from '../chat/typed-lines.js'
import { defineCommand } from '../flags.js'
import type { Flags } from '../flag.js'
import { NAMED } from '../named-adapters.js'
import { flagsFrom, optionsFrom } from '../option-flags.js'
import { hubOptions, library, openModel } from '../sources.js'
import { UsageError } from '../usage-error.js'
import { baseFlag } from './train-flags.js'

/** An answer is longer than what continues a prompt. */
const MAX_NEW_TOKENS = 1024

const { maxNewTokens, temperature, topK, topP, minP } = generateOptionTable
const { repetitionPenalty, presencePenalty, frequencyPenalty, logitBias, noRepeatNgramSize } = generateOptionTable
const { minNewTokens, stop, eosTokenIds, ignoreEos, seed } = generateOptionTable

/** What is about one text. Several of a prompt, their search and numbers of tokens are not for people who talk. */
const chatOptionTable = {
  maxNewTokens: { ...maxNewTokens, default: MAX_NEW_TOKENS },
  ...{ temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty, logitBias, noRepeatNgramSize },
  ...{ minNewTokens, stop, eosTokenIds, ignoreEos, seed },
}

const flags = {
  model: { type: 'text', value: 'M', required: true, help: 'Model folder or hub id, with a chat template.' },
  ...baseFlag,
  adapter: {
    type: 'texts',
    value: '[NAME=]DIR…',
    help: 'Adapter folder (PEFT) or hub id, under a name of its own or that of its folder; may be repeated. The first one answers.',
  },
  system: { type: 'text', value: 'T', help: 'System prompt before the dialogue.' },
  ...flagsFrom(chatOptionTable),
} as const satisfies Flags

export const chatCommand = defineCommand({
  name: 'chat',
  summary: 'Talk with a model in the terminal, and change the adapter that answers.',
  description:
    'Answers come as they are written; the dialogue is kept in memory alone. /adapter NAME, /scale X, /system TEXT, /reset, /help and /quit change what answers. Ctrl-C stops an answer; twice, or Ctrl-D, ends. Where stdin is no terminal each of its lines is said in turn.',
  flags,
  examples: [
    'lowrank chat --model SmolLM2-135M-Instruct',
    'lowrank chat --model SmolLM2-135M-Instruct --adapter poet=out/poet --adapter lawyer=out/lawyer --temperature 0.7',
  ],
  prints: 'Of each answer `{"role":"assistant","content":…,"adapter":…,"finishReason":…}`; `adapter` is null of the bare model.',
  async run(values, { output }) {
    const adapters = namedAdapters(values.adapter ?? [])
    const [{ Engine }, { loadAdapter, InvalidDataError }] = await Promise.all([import('../../serve/index.js'), library()])
    await using model = await openModel(values, output)
    const tokenizer = await model.tokenizer()
    if (tokenizer?.hasChatTemplate !== true)
      throw new InvalidDataError(
        `${model.path} has no chat template, so nobody can talk with it; continue texts by lowrank generate.`,
      )
    const engine = new Engine(model, { loadAdapter: (base, path) => loadAdapter(base, path, hubOptions(output)) })
    for (const [name, path] of adapters) await engine.adapters.load(name, path)
    const [first] = adapters.keys()
    const options = optionsFrom(chatOptionTable, values)
    const conversation = new Conversation({ engine, tokenizer, options, system: values.system, adapter: first })
    const lines = new TypedLines({ input: process.stdin, output: process.stderr }, () =>
      output.note(output.color.dim('(Ctrl-C again ends)')),
    )
    try {
      if (process.stdin.isTTY && !output.json) output.note(output.color.dim('/help lists the commands'))
      await chatLoop(conversation, lines, output)
    } finally {
      lines.close()
    }
    return 0
  },
})

/** @throws UsageError for two of the same name */
function namedAdapters(given: readonly string[]): ReadonlyMap<string, string> {
  const adapters = new Map<string, string>()
  for (const each of given) {
    const [, name, path] = NAMED.exec(each) ?? [each, publicName(each), each]
    if (adapters.has(name!)) throw new UsageError(`--adapter names ${name} twice.`)
    adapters.set(name!, path!)
  }
  return adapters
}
