/** @file `lowrank generate`. */
import { generateOptionTable } from '../../generate/generate-options.js'
import { defineCommand } from '../flags.js'
import { count, digits } from '../format.js'
import { flagsFrom, optionsFrom } from '../option-flags.js'
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
    ...flagsFrom(generateOptionTable),
  },
  examples: [
    'lowrank generate --model SmolLM2-135M --prompt "Once upon a time"',
    'lowrank generate --model SmolLM2-135M --adapter out --prompt "Hello" --temperature 0.8 --top-p 0.95 --seed 1',
  ],
  prints: '`{"text":…,"ids":[…],"tokensPerSecond":…}`; `text` and `ids` are what was generated, without the prompt.',
  async run(values, { output }) {
    const { generateStream } = await library()
    const subject = await openSubject(values, output)
    const stream = generateStream(subject, optionsFrom(generateOptionTable, values))
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
