/** @file `lowrank paper nlg score e2e`, `… webnlg` and `… dart`. */
import { nodeFiles } from '../../../io/node-files.js'
import { segmentsOfFiles, type TextFile } from '../../../metrics/index.js'
import { readRun, recordScores } from '../../../paper/nlg/run-description.js'
import { checkEvalMetrics, scoreE2e, scoreGenerationEval, segmentTable, type PrintedScore } from '../../../paper/nlg/score.js'
import type { Flag } from '../../flag.js'
import type { Command, Output } from '../../flags.js'
import { defineCommand } from '../../flags.js'
import { counted, table } from '../../format.js'
import { meteorFlags, openMeteorData } from '../../meteor-flags.js'
import { checkOutputs } from '../../not-an-input.js'
import { UsageError } from '../../usage-error.js'

const prints =
  '`{"segments":N,"scores":{"BLEU":…,…}}`, by the names and on the scales of the scorer; METEOR without paraphrases is called by what it matched.'

const printJson = (scores: readonly PrintedScore[], segments: number, output: Output): void =>
  output.printJson({ segments, scores: named(scores) })

const record = {
  type: 'text',
  value: 'WORK_DIR',
  help: "Write the scores into paper.json of the folder that lowrank paper nlg train wrote the model's checkpoints to, for lowrank paper table.",
} as const satisfies Flag

const named = (scores: readonly PrintedScore[]): Record<string, number> =>
  Object.fromEntries(scores.map(({ name, score }) => [name, score]))

const read = async (name: string): Promise<TextFile> => ({ name, text: await nodeFiles().readText(name) })

export const paperNlgScoreE2eCommand = defineCommand({
  name: 'paper nlg score e2e',
  summary: 'Score texts as measure_scores.py -p of the E2E challenge does.',
  description:
    'BLEU, NIST, METEOR, ROUGE-L and CIDEr with the flags of measure_scores.py. REFS has the references of a segment one a line and an empty line behind them, HYPS one hypothesis a line: what lowrank paper nlg decode and gpt2_decode.py write. docs/metrics.md says what each metric is.',
  positionals: ['REFS', 'HYPS'],
  without: ['device', 'threads', 'seed'],
  flags: {
    python: { type: 'switch', short: '-p', help: "BLEU and NIST of the Python scorer, which the LoRA paper's README asks for. The Perl scorer, whose NIST is another, is not here: say -p." }, // prettier-ignore
    table: { type: 'switch', short: '-t', help: 'Print one line with tabs: the name of HYPS and the scores.' },
    header: { type: 'switch', short: '-H', help: 'With --table: a line with names above.' },
    'sent-level': { type: 'text', short: '-l', value: 'FILE', help: 'Write the scores of each segment there, a line with tabs each.' }, // prettier-ignore
    overwrite: { type: 'switch', help: 'Replace the file --sent-level.' },
    record,
    ...meteorFlags,
  },
  examples: [
    'lowrank paper nlg score e2e e2e_ref.txt e2e_pred.txt -p',
    'lowrank paper nlg score e2e e2e_ref.txt e2e_pred.txt -p -t -H --meteor-modules exact,stem',
  ],
  prints,
  async run(values, { output, positionals }) {
    const [references, hypotheses] = positionals as [string, string]
    const { 'sent-level': out, header, overwrite } = values
    if (!values.python)
      throw new UsageError("give --python (-p): these are the scores of measure_scores.py -p; the Perl scorer's NIST is another.")
    if (header && !values.table) throw new UsageError('--header is for --table.')
    if (overwrite && out === undefined) throw new UsageError('--overwrite is for the file of --sent-level.')
    const files = nodeFiles()
    if (out !== undefined) await checkOutputs(files, [out], positionals, overwrite)
    const run = values.record === undefined ? undefined : await readRun(files, values.record)
    const data = await openMeteorData(files, values, ['meteor'])
    const segments = segmentsOfFiles(await read(hypotheses), await read(references))
    const scores = scoreE2e(segments, { ...data.options, ...(await data.paraphrases(segments, { tokenizer: 'ptb' })) })
    if (output.json) printJson(scores, segments.length, output)
    else if (values.table) {
      if (header) output.print(['File', ...scores.map(({ name }) => name)].join('\t'))
      output.print([hypotheses, ...scores.map(fixed)].join('\t'))
    } else {
      output.print('SCORES:\n==============')
      for (const each of scores) output.print(`${each.name}: ${fixed(each)}`)
    }
    if (out !== undefined) await files.write(out, segmentTable(scores))
    if (run !== undefined) await recordScores(files, values.record!, run, 'e2e', 'test', named(scores))
    return 0
  },
})

/** As the scorer prints it. */
const fixed = ({ score, decimals }: PrintedScore): string => score.toFixed(decimals)

/** GenerationEval's script is the same for both. */
const generationEval = (dataSet: 'webnlg' | 'dart', title: string): Command =>
  defineCommand({
    name: `paper nlg score ${dataSet}`,
    summary: `Score texts for ${title} as eval.py of GenerationEval does.`,
    description:
      "BLEU (of multi-bleu-detok.perl, and NLTK's), METEOR, chrF++ and TER with the flags of eval.py. Its TER counts the end of the files as one more segment, with a rate of 1; so does this. docs/metrics.md says what each metric is.",
    without: ['device', 'threads', 'seed'],
    flags: {
      reference: { type: 'text', short: '-R', value: 'PATH', required: true, help: 'Beginning of the names of the files of references, PATH0, PATH1, …; of one its name.' }, // prettier-ignore
      hypothesis: { type: 'text', short: '-H', value: 'FILE', required: true, help: 'Hypotheses, one a line.' },
      language: { type: 'text', short: '-lng', choices: ['en'], default: 'en', help: 'Language of the texts.' },
      num_refs: { type: 'integer', short: '-nr', value: 'N', min: 1, default: 4, help: 'Files of references.' },
      metrics: { type: 'names', short: '-m', value: 'A,B', help: 'Some of bleu, meteor, chrf++, ter; all of them unless given.' },
      record,
      ...(dataSet === 'webnlg' && {
        split: {
          type: 'text',
          choices: ['all', 'seen', 'unseen'],
          default: 'all',
          help: 'With --record: which texts these are, as --filter of lowrank paper nlg decode chose them.',
        } satisfies Flag,
      }),
      ...meteorFlags,
    },
    examples: [
      `lowrank paper nlg score ${dataSet} -R references_${dataSet}/reference -H hypothesis_${dataSet} -nr 6 -m bleu,meteor,ter`,
    ],
    prints,
    async run(values, { output }) {
      const { reference, hypothesis, num_refs: count, metrics = ['bleu', 'meteor', 'ter', 'chrf++'] } = values
      checkEvalMetrics(metrics)
      const files = nodeFiles()
      const run = values.record === undefined ? undefined : await readRun(files, values.record)
      const data = await openMeteorData(files, values, metrics)
      const names = count === 1 ? [reference] : Array.from({ length: count }, (_, i) => `${reference}${i}`)
      const texts = await read(hypothesis)
      const segments = segmentsOfFiles(texts, await Promise.all(names.map(read)))
      const knowledge = { ...data.options, ...(await data.paraphrases(segments, { tokenizer: 'nltk' })) }
      const scores = scoreGenerationEval(segments, metrics, knowledge, texts.text.endsWith('\n'))
      if (output.json) printJson(scores, segments.length, output)
      else {
        for (const line of table(scores.map(({ name }) => name), [scores.map(fixed)], [...scores.keys()])) output.print(line) // prettier-ignore
        output.note(output.color.dim(counted(segments.length, 'segment')))
      }
      if (run !== undefined)
        await recordScores(
          files,
          values.record!,
          run,
          dataSet,
          (values as { readonly split?: string }).split ?? 'test',
          named(scores),
        )
      return 0
    },
  })

export const paperNlgScoreWebnlgCommand = generationEval('webnlg', 'WebNLG')
export const paperNlgScoreDartCommand = generationEval('dart', 'DART')
