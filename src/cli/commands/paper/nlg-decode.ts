/** @file `lowrank paper nlg decode`. */
import { nodeFiles } from '../../../io/node-files.js'
import { dataSets, type DataSet } from '../../../paper/nlg/data-sets.js'
import { decode, decodedPaths, type CategoryFilter } from '../../../paper/nlg/decode.js'
import { defineCommand } from '../../flags.js'
import { counted } from '../../format.js'
import { checkOutputs } from '../../not-an-input.js'
import { UsageError } from '../../usage-error.js'

export const paperNlgDecodeCommand = defineCommand({
  name: 'paper nlg decode',
  summary: 'Turn predicted tokens into texts beside their references, as gpt2_decode.py of microsoft/LoRA does.',
  description:
    'The flags and files of gpt2_decode.py, byte for byte: rows of one context are one segment, texts end before <|endoftext|> or an empty line. Of E2E the references are one file, in groups; of WebNLG and DART a folder with reference0, reference1, …. A line break within a text becomes a blank, where the script would write a line more.',
  without: ['device', 'threads', 'seed'],
  flags: {
    vocab: { type: 'text', value: 'DIR', required: true, help: "Folder with GPT-2's encoder.json and vocab.bpe." },
    sample_file: { type: 'text', value: 'FILE', required: true, help: 'Predictions of gpt2_beam.py or lowrank paper nlg beam.' },
    input_file: { type: 'text', value: 'FILE', required: true, help: 'The texts of their rows, *_formatted.jsonl.' },
    output_ref_file: {
      type: 'text',
      value: 'PATH',
      required: true,
      help: 'File for the references; of WebNLG and DART a folder.',
    },
    output_pred_file: { type: 'text', value: 'FILE', required: true, help: 'File for the predicted texts.' },
    ref_unique_file: { type: 'text', value: 'FILE', help: 'A number a line for each row; rows of one number are one segment, in place of rows of one context.' }, // prettier-ignore
    ref_type: { type: 'text', choices: dataSets, default: 'e2e', help: 'How references are written.' },
    ref_num: { type: 'integer', value: 'N', min: 1, help: 'Files of references of WebNLG and DART; 4 unless given. A segment with fewer repeats its first.' }, // prettier-ignore
    tokenize: { type: 'switch', help: 'Put blanks around every character that is no letter, number or underscore.' },
    lower: { type: 'switch', help: 'Make letters small.' },
    filter: { type: 'text', choices: ['all', 'seen', 'unseen'], default: 'all', help: 'Of WebNLG: categories that are trained on, or the others.' }, // prettier-ignore
    overwrite: { type: 'switch', help: 'Replace files that are there already.' },
  },
  examples: [
    'lowrank paper nlg decode --vocab vocab --sample_file predict.jsonl --input_file data/e2e/test_formatted.jsonl --output_ref_file e2e_ref.txt --output_pred_file e2e_pred.txt',
    'lowrank paper nlg decode --vocab vocab --sample_file predict.jsonl --input_file data/webnlg/test_formatted.jsonl --ref_type webnlg --ref_num 6 --output_ref_file references_webnlg --output_pred_file hypothesis_webnlg --tokenize --lower',
  ],
  prints:
    '`{"segments":N,"references":N,"leftOut":N,"joined":N}`; `leftOut` are references beyond --ref_num, `joined` texts that had a line break in them.',
  async run(values, { output }) {
    const { ref_type: type, ref_num: count, tokenize, lower } = values
    if (type === 'e2e' && count !== undefined)
      throw new UsageError('--ref_num is for --ref_type webnlg and dart; of E2E all references are in one file.')
    const options = {
      ...{ vocab: values.vocab, samples: values.sample_file, inputs: values.input_file, uniqueIds: values.ref_unique_file },
      ...{ references: values.output_ref_file, hypotheses: values.output_pred_file, tokenize, lower },
      referenceType: type as DataSet,
      referenceCount: count ?? 4,
      filter: values.filter as CategoryFilter,
    }
    const files = nodeFiles()
    const inputs = [options.samples, options.inputs, ...(options.uniqueIds === undefined ? [] : [options.uniqueIds])]
    await checkOutputs(files, decodedPaths(options), inputs, values.overwrite)
    const found = await decode(files, options)
    if (output.json) output.printJson(found)
    else {
      output.print(`${counted(found.segments, 'segment')} with ${counted(found.references, 'reference')} → ${options.hypotheses}`)
      if (found.leftOut > 0)
        output.note(
          output.color.yellow(
            `${counted(found.leftOut, 'reference')} left out, beyond the first ${options.referenceCount} of a segment: raise --ref_num to have them`,
          ),
        )
      if (found.joined > 0)
        output.note(output.color.yellow(`${counted(found.joined, 'text')} had a line break in it, which is a blank now`))
    }
    return 0
  },
})
