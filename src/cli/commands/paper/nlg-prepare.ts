/** @file `lowrank paper nlg prepare`. */
import { nodeFiles } from '../../../io/node-files.js'
import { dataSets, type DataSet } from '../../../paper/nlg/data-sets.js'
import { prepare, preparedPaths } from '../../../paper/nlg/prepare.js'
import { defineCommand } from '../../flags.js'
import { counted } from '../../format.js'
import { checkOutputs } from '../../not-an-input.js'
import { UsageError } from '../../usage-error.js'

const kinds: readonly string[] = [...dataSets, 'formatted']

const isKind = (name: string): name is DataSet | 'formatted' => kinds.includes(name)

export const paperNlgPrepareCommand = defineCommand({
  name: 'paper nlg prepare',
  summary: 'Turn E2E, WebNLG and DART as they were published into rows for training.',
  description:
    "What format_converting_*.py and gpt2_encode.py of microsoft/LoRA's examples/NLG write, byte for byte. DATASET is e2e, webnlg or dart, and IN a file of it; with --vocab OUT is the file of tokens, and the texts lie beside it (train.jsonl, train_formatted.jsonl); without, OUT has the texts. DATASET formatted is a file of texts, whose tokens alone are written. README's rows have --add_bos and --add_eos.",
  positionals: ['DATASET', 'IN', 'OUT'],
  without: ['device', 'threads', 'seed'],
  flags: {
    vocab: { type: 'text', value: 'DIR', help: "Folder with GPT-2's encoder.json and vocab.bpe." },
    add_bos: { type: 'switch', help: 'Put <|endoftext|> behind each context.' },
    add_eos: { type: 'switch', help: 'Put <|endoftext|> behind each completion.' },
    overwrite: { type: 'switch', help: 'Replace files that are there already.' },
  },
  examples: [
    'lowrank paper nlg prepare e2e data/e2e/train.txt data/e2e/train.jsonl --vocab vocab --add_bos --add_eos',
    'lowrank paper nlg prepare webnlg data/webnlg/dev.json valid_formatted.jsonl',
  ],
  prints:
    '`{"formatted":…,"encoded":…,"rows":N,"contexts":N}`: the file of texts, that of tokens, and how many rows and different contexts they have.',
  async run({ vocab, add_bos: addBos, add_eos: addEos, overwrite }, { output, positionals }) {
    const [kind, input, out] = positionals as [string, string, string]
    if (!isKind(kind)) throw new UsageError(`lowrank paper nlg prepare: DATASET is one of ${kinds.join(', ')}, got "${kind}".`)
    if (vocab === undefined && (addBos || addEos))
      throw new UsageError('--add_bos and --add_eos are for tokens: give --vocab DIR.')
    if (vocab === undefined && kind === 'formatted') throw new UsageError('of texts the tokens are written: give --vocab DIR.')
    const files = nodeFiles()
    await checkOutputs(files, preparedPaths(kind, out, vocab !== undefined), [input], overwrite)
    const found = await prepare(files, kind, input, out, vocab === undefined ? undefined : { vocab, addBos, addEos })
    if (output.json) output.printJson(found)
    else
      output.print(`${counted(found.rows, 'row')} of ${counted(found.contexts, 'context')} → ${found.encoded ?? found.formatted}`)
    return 0
  },
})
