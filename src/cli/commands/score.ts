/** @file `lowrank score`. */
import { nodeFiles } from '../../io/node-files.js'
import { score, type MetricName } from '../../metrics/index.js'
import { checkMetrics } from '../../metrics/score.js'
import { readingOptions } from '../../train/option-table.js'
import { defineCommand } from '../flags.js'
import { meteorFlags, openMeteorData } from '../meteor-flags.js'
import { metricFlags, metricList, textOptionsOf } from '../metric-flags.js'
import { flagsFrom } from '../option-flags.js'
import { checkSegmentFile, tellScores } from '../score-view.js'
import { checkSegmentFlags, openSegments, segmentFiles } from '../segments.js'
import { UsageError } from '../usage-error.js'

export const scoreCommand = defineCommand({
  name: 'score',
  summary: 'Score texts against their references: BLEU, NIST, METEOR, ROUGE-L, CIDEr, TER, chrF++ and others.',
  description:
    'No model is needed. Metrics are computed as the scripts of papers compute them; docs/metrics.md says what each is. References are one file as the E2E challenge has it (one reference a line, an empty line behind those of each hypothesis), files as GenerationEval has them (--num-refs, or a folder of reference0, reference1, …), or rows with both. Hypotheses are one a line.',
  without: ['device', 'threads', 'seed'],
  flags: {
    references: {
      type: 'text',
      value: 'REFS',
      help: 'File of references in groups; with --num-refs the beginning of the names of several; or a folder of reference0, reference1, ….',
    },
    hypotheses: { type: 'text', value: 'HYPS', help: 'File of hypotheses, one a line.' },
    'num-refs': {
      type: 'integer',
      value: 'N',
      min: 1,
      help: 'There are N files of references, REFS0, REFS1, …, whose lines belong together; of one REFS itself.',
    },
    data: { type: 'texts', value: 'FILE…', help: 'Rows {"hypothesis", "references"} in place of text files: JSONL, JSON, CSV, TSV or Parquet, each also as .gz.' }, // prettier-ignore
    ...flagsFrom(readingOptions),
    metrics: { type: 'names', value: 'A,B', help: `Metrics: ${metricList}. bleu, nist, rouge-l and cider by default.` },
    official: {
      type: 'switch',
      option: 'official',
      help: 'TER as GenerationEval prints it: its script reads the end of its files as one more segment, with a rate of 1.',
    },
    ...metricFlags,
    ...meteorFlags,
  },
  examples: [
    'lowrank score --references refs.txt --hypotheses hyps.txt --metrics bleu,nist,rouge-l,cider',
    'lowrank score --references refs/reference --num-refs 6 --hypotheses hyps.txt --metrics multi-bleu,ter,chrf++',
    'lowrank score --references refs.txt --hypotheses hyps.txt --metrics meteor --tokenizer ptb --meteor-data meteor-1.5/data',
    'lowrank score --data answers.jsonl --metrics exact-match,token-f1 --json',
  ],
  prints:
    '`{"segments":N,"scores":{"bleu":{"name":"BLEU","score":…,"tokenizer":"13a","lowercase":true},…}}`, the metrics in the order in which they were asked for. The file --per-segment has `{"segment":1,"bleu":…,"hypothesis":…,"references":[…]}` a line, null where a metric does not count the segment.',
  async run(values, { output }) {
    const { official } = values
    checkSegmentFlags(values)
    if (official && values.data !== undefined)
      throw new UsageError("--official is for text files, whose end GenerationEval's script reads as a segment.")
    const metrics: readonly string[] = values.metrics ?? (['bleu', 'nist', 'rouge-l', 'cider'] satisfies MetricName[])
    const asked = { ...textOptionsOf(values), ...(official && { official }) }
    checkMetrics(metrics, asked)
    const files = nodeFiles()
    await checkSegmentFile(files, values, () => segmentFiles(files, values))
    const data = await openMeteorData(files, values, metrics)
    const { segments, lineEnded } = await openSegments(files, values)
    const paraphrases = await data.paraphrases(segments, asked)
    const scores = score(segments, metrics, {
      ...asked,
      ...data.options,
      ...paraphrases,
      ...(official && { official: lineEnded }),
    })
    await tellScores({ scores, segments }, files, values['per-segment'], output)
    return 0
  },
})
