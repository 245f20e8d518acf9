/** @file `lowrank generate`. */
import { defineCommand, defined } from '../flags.js'
import { count, digits } from '../format.js'
import { library, openSubject } from '../sources.js'
import { baseFlag } from './train-flags.js'

export const generateCommand = defineCommand({
  name: 'generate',
  summary: 'Continue a prompt with a model, with or without an adapter.',
  description:
    'Greedy by default: the same prompt gives the same text. A temperature above 0 samples; the same seed then gives the same text. Several beams search for the likeliest text, which comes at the end.',
  flags: {
    model: { type: 'text', value: 'M', required: true, help: 'Model folder or hub id.' },
    ...baseFlag,
    adapter: { type: 'text', value: 'DIR', help: 'Adapter folder (PEFT) or hub id; the bare model without it.' },
    prompt: {
      type: 'text',
      value: 'T',
      required: true,
      help: 'Text to continue. One that begins with two hyphens is given as --prompt=T.',
    },
    'max-new-tokens': { type: 'integer', value: 'N', min: 1, default: 128, help: 'Most tokens to generate.' },
    temperature: { type: 'number', value: 'X', min: 0, default: 0, help: '0 takes the likeliest token; above 0 samples.' },
    'top-k': { type: 'integer', value: 'N', min: 1, help: 'Sample among the N likeliest tokens.' },
    'top-p': { type: 'number', value: 'X', min: 0, help: 'Sample among the likeliest tokens that have probability X together.' },
    'repetition-penalty': {
      type: 'number',
      value: 'X',
      min: 0,
      help: 'Above 1 makes tokens that were there before less likely.',
    },
    stop: { type: 'texts', value: 'T…', help: 'Stop before this text; may be repeated.' },
    beams: { type: 'integer', value: 'N', min: 1, default: 1, help: 'Beams of a beam search; 1 is none.' },
    'length-penalty': {
      type: 'number',
      value: 'X',
      help: 'Of a beam search: above 0 favours longer texts. 1 unless given.',
    },
    'early-stopping': {
      type: 'text',
      choices: ['true', 'false', 'never'],
      help: 'When a beam search ends: with as many finished texts as beams; when better ones are unlikely (false, unless given); or impossible.',
    },
  },
  examples: [
    'lowrank generate --model SmolLM2-135M --prompt "Once upon a time"',
    'lowrank generate --model SmolLM2-135M --adapter out --prompt "Hello" --temperature 0.8 --top-p 0.95 --seed 1',
  ],
  prints: '`{"text":…,"ids":[…],"tokensPerSecond":…}`; `text` and `ids` are what was generated, without the prompt.',
  async run(values, { output }) {
    const { generateStream } = await library()
    const subject = await openSubject(values, output)
    const early = values['early-stopping'] as 'true' | 'false' | 'never' | undefined
    const stream = generateStream(subject, {
      prompt: values.prompt,
      maxNewTokens: values['max-new-tokens'],
      temperature: values.temperature,
      seed: values.seed,
      ...defined({
        topK: values['top-k'],
        topP: values['top-p'],
        repetitionPenalty: values['repetition-penalty'],
        stop: values.stop,
        beams: values.beams,
        lengthPenalty: values['length-penalty'],
        earlyStopping: early === undefined || early === 'never' ? early : early === 'true',
      }),
    })
    // People read along; programs get the whole. Nothing is written before the first token, for the options may be wrong.
    let next = await stream.next()
    if (!output.json) output.write(values.prompt)
    for (; next.done !== true; next = await stream.next()) if (!output.json) output.write(next.value.text)
    const { text, ids, tokensPerSecond } = next.value
    if (output.json) output.printJson({ text, ids, tokensPerSecond })
    else {
      output.print('')
      output.note(output.color.dim(`${count(ids.length)} tokens, ${digits(tokensPerSecond, 3)} tokens/s`))
    }
    return 0
  },
})
