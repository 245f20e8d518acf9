/** @file docs/paper.md: the paper's experiments, and what came of those that were run here, from the runs that bench/paper keeps. */
import { fileURLToPath } from 'node:url'
import { format } from 'prettier'
import {
  amplificationTable,
  between,
  costsTable,
  glueTable,
  keptClaims,
  keptCosts,
  keptRuns,
  keptSubspaces,
  matricesTable,
  methodsTable,
  ranksTable,
  sharedTable,
  type KeptClaims,
  type KeptCosts,
} from '../bench/paper/results.js'
import { matrixSets, textBases } from '../bench/paper/text-experiment.js'
import { markdownTable } from '../bench/report.js'

const results = fileURLToPath(new URL('../bench/results', import.meta.url))

/** The Markdown of docs/paper.md. */
export function paperDocument(): Promise<string> {
  return format(
    [INTRODUCTION, ...textSections(), ...subspaceSection(), ...glueSection(), ...claimSections(keptClaims(results)), LIMITS].join(
      '\n',
    ),
    {
      parser: 'markdown',
      printWidth: 130,
    },
  )
}

function textSections(): string[] {
  const runs = keptRuns(results)
  const bases = textBases.flatMap((base) => {
    const table = methodsTable(runs, base)
    if (table.length === 0) return []
    return [
      ...[`### E2E on ${base.title}`, '', ...table],
      ...[`![Loss of the validation rows](../bench/results/paper-${base.name}.svg)`, ''],
      ...costs(keptCosts(results, base)),
    ]
  })
  const [first] = textBases
  return [
    ...[TEXTS, ...bases],
    ...['### Which rank, of which matrices (tables 6 and 18)', '', RANKS_TEXT, '', ...ranksTable(runs, first!, first!.ranks)],
    ...['### Which matrices, of one budget (table 5)', '', MATRICES_TEXT, '', ...matricesTable(runs, first!, matrixSets)],
  ]
}

const costs = (kept: KeptCosts | undefined): string[] =>
  kept === undefined
    ? []
    : [
        `A step of eight rows on ${kept.machine.processor}, ${kept.machine.threads} threads, trainings by turns; medians, from the least to the greatest:`,
        ...['', ...costsTable(kept)],
      ]

function subspaceSection(): string[] {
  const found = keptSubspaces(results)
  if (found === undefined) return []
  const picture = (name: string, title: string): string => `![${title}](../bench/results/paper-subspaces-${name}.svg)`
  return [
    ...[SUBSPACES, `Heat maps of \`${found.pictured}\`:`, ''],
    ...[picture('ranks', 'φ(i, j) of r = 8 and r = 64'), '', picture('seeds', 'φ(i, j) of r = 64 with two seeds'), ''],
    ...[...sharedTable(found), '', AMPLIFICATION, '', ...amplificationTable(found)],
  ]
}

function glueSection(): string[] {
  const table = glueTable(keptRuns(results))
  return table.length === 0 ? [] : [GLUE, ...table]
}

const bytes = (count: number): string => (count < 1e7 ? `${(count / 1e6).toFixed(2)} MB` : `${(count / 1e9).toFixed(2)} GB`)

function claimSections(claims: KeptClaims | undefined): string[] {
  if (claims === undefined) return []
  const { machine, training, latency } = claims
  const { adapter, 'all weights': full } = training
  const times = (value: number): string => (value >= 10 ? value.toFixed(0) : value.toFixed(2))
  return [
    ...['## The four claims', ''],
    `GPT-2 small with random weights, r = 4 on \`c_attn\`, rows of 256 tokens, four a step; ${machine.processor}, ${machine.threads} threads. Medians, from the least to the greatest; both sides by turns in one run.`,
    '',
    ...markdownTable(
      ['', 'LoRA', 'all weights, Adam', 'all weights by LoRA'],
      [
        ['trained parameters', adapter.trainedParameters.toLocaleString('en-US'), full.trainedParameters.toLocaleString('en-US'), `${times(full.trainedParameters / adapter.trainedParameters)}`], // prettier-ignore
        ['checkpoint', bytes(adapter.checkpointBytes), bytes(full.checkpointBytes), times(full.checkpointBytes / adapter.checkpointBytes)], // prettier-ignore
        ['peak memory', bytes(adapter.peakBytes), bytes(full.peakBytes), times(full.peakBytes / adapter.peakBytes)],
        ['seconds per step', between(adapter.secondsPerStep, 2), between(full.secondsPerStep, 2), times(full.byFirst.median)], // prettier-ignore
      ],
    ),
    ...['A pass over a batch in milliseconds (the paper has its table 1 of GPT-2 medium on a GPU):', ''],
    ...markdownTable(
      ['batch x tokens', 'base', 'merged', 'unmerged', 'merged by base', 'unmerged by base'],
      latency.map(({ batch, length, base, merged, unmerged }) => [
        ...[`${batch} x ${length}`, between(base, 0), between(merged, 0), between(unmerged, 0)],
        ...[(merged.median / base.median).toFixed(3), (unmerged.median / base.median).toFixed(3)],
      ]),
    ),
  ]
}

const INTRODUCTION = `# The paper's experiments

<!-- Made by \`npm run docs\` from the runs in bench/results; do not edit. -->

Hu et al., [LoRA: Low-Rank Adaptation of Large Language Models](https://arxiv.org/abs/2106.09685) (2021), with the scripts of
[microsoft/LoRA](https://github.com/microsoft/LoRA), in two parts:

- **With its weights and its data**, one command per row: [docs/paper-nlg.md](paper-nlg.md) for GPT-2 on E2E, WebNLG and DART stage by
  stage, with the original flags and files; [docs/paper-nlu.md](paper-nlu.md) for RoBERTa and DeBERTa on GLUE.
  \`lowrank paper table runs/\` puts what came of it beside the published numbers and those that others report. No number of the
  paper's models was run for this page: it needs a GPU and their weights.
- **At the size of a small machine**, run and published here: the same comparisons on a Llama of 0.26 million parameters, and on a GPT-2
  and a text encoder of our own, trained from scratch for it. \`npm run bench:paper\` repeats them. Every run stands in
  \`bench/results/paper-runs.json\`.

What can be concluded of small models is how methods stand to each other, not how well they do.
`

const TEXTS = `## Text generation (tables 3, 6 and 18)

E2E, 2,400 rows of its training set, eight a step, AdamW with weight decay 0.01, a linear schedule with 5 % of warm-up; LoRA on all
linear layers with α = 2r. The learning rate of each method is the best of four after half the steps, chosen by a seed that no
table has. Loss of 100 rows of the validation set; texts for 60 meanings of the test set, with all of their references, by beams of
four. Three seeds, mean ± deviation. METEOR without synonyms and paraphrases, as its name says.

A Llama has no biases, so there is no BitFit of stories260k. Its end token was never trained, and a branch cannot teach a frozen row of
the head to end texts: LoRA trains that one row too (\`trainableTokenIndices\`, 64 numbers); without it texts run on, and BLEU was 0.17
at r = 8. The GPT-2 read the sentences of E2E's training set without their meanings, and DART's and WebNLG's with theirs, so that it
knows the words and has to learn what to say.
`

const RANKS_TEXT = `Loss after half the steps, on stories260k. Its keys and values have 32 outputs: r = 32 is no low rank of them any more.`

const MATRICES_TEXT = `The same, where all choices train about as many numbers (keys and values of this model are half as wide).`

const SUBSPACES = `## What the adapters have learned (section 7)

The GPT-2 above with LoRA on \`c_attn\` (queries, keys and values are one matrix of it), trained on E2E: r = 8, and r = 64 with two other
seeds; [\`lowrank analyze\`](analyze.md) tells φ(i, j), how much of the i strongest directions of one lies in the j strongest of the
other.
`

const AMPLIFICATION = `As in the paper, the strongest directions are found again by another rank and another seed, most clearly those of B, and the whole of r = 8
lies in r = 64 far more than chance would have it. What the change says against what the base says in its directions (table 7): they
are not those that the base is strongest in, and as in the paper (21.5 at r = 4, 1.9 at r = 64) a low rank amplifies them most, here three to
five times at r = 8 and not at all at r = 64.`

const GLUE = `## Text understanding (table 2)

A RoBERTa of 1.1 million parameters (4 layers, hidden size 128, 2,048 tokens), trained here by masked language modelling on glosses of
WordNet, sentences of GLUE's training sets, DART, WebNLG and E2E, then adapted with a fresh head: 200 steps of 16 rows, at most 6,000 rows and
64 tokens, the encoder's dropouts on, a linear schedule with 6 % of warm-up, weight decay 0.1. The rate of each method is the better
of two on SST-2. 500 rows of each dev set, the best of four evaluations; accuracy, of CoLA Matthews' and of STS-B Pearson's
correlation, times 100. Three seeds, mean ± deviation. Always the larger class would have about 50, 0, 53 and 0: an encoder this small, tuned this shortly,
learns SST-2 and a little of STS-B, and nothing of CoLA and RTE, whatever is trained.
`

const LIMITS = `## What is not here

- The rows of the paper themselves: see above.
- Prefix tuning, PreLayer and Adapter-L: the original repository has no code of them.
- GPT-3 on WikiSQL, MNLI and SAMSum: neither weights nor code are public.
`
