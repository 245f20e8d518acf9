/** @file The flags of `lowrank train`. */
import type { ObjectiveOptions } from '../../index.js'
import { headFlags } from '../head-flags.js'
import { defined, type Flags, type Values } from '../flags.js'
import { onnxFlags } from '../onnx-flags.js'

/** How the frozen weights are held, for the commands that run a model. */
export const baseFlag = {
  base: {
    type: 'text',
    choices: ['fp32', 'int8', 'int4'],
    default: 'fp32',
    help: "How the frozen weights are held while they run; int8 and int4 are packed once, into the user's cache folder (LOWRANK_CACHE, or ~/.cache/lowrank).",
  },
} as const satisfies Flags

/** Values of --init and what PEFT's `init_lora_weights` calls them. */
export const initialisations: Readonly<Record<string, boolean | string>> = {
  default: true,
  gaussian: 'gaussian',
  random: false,
  orthogonal: 'orthogonal',
  pissa: 'pissa',
  pissa_niter_16: 'pissa_niter_16',
  olora: 'olora',
  loftq: 'loftq',
  // Filled from the data afterwards.
  eva: true,
}

const laterInitialisations = ['corda', 'lora_ga']

/** Flags that say what is learned, of `train` and `eval`. */
export const objectiveFlags = {
  objective: {
    type: 'text',
    choices: ['sft', 'dpo', 'orpo'],
    help: 'What a language model learns: the next token (sft, unless said), or from rows {"prompt","chosen","rejected"} a preference: dpo against the model without the adapter, orpo without a reference.',
  },
  beta: {
    type: 'number',
    value: 'X',
    min: 0,
    help: 'Of dpo how far the adapter may leave the base model, of orpo the weight of the odds ratio; 0.1 unless said.',
  },
  'label-smoothing': {
    type: 'number',
    value: 'X',
    min: 0,
    help: 'Of dpo: share of pairs that may be labelled wrongly, below 0.5; 0 unless said.',
  },
  'loss-type': { type: 'text', choices: ['sigmoid', 'ipo', 'hinge'], help: 'Of dpo: its loss; sigmoid unless said.' },
  ...headFlags,
  output: { type: 'text', value: 'NAME', help: 'Output of an .onnx file that the loss reads, where it has several.' },
  ...onnxFlags,
  loss: {
    type: 'text',
    value: 'cosine | contrastive | output:NAME',
    help: 'Of embedding models: cosine to a score, or contrastive within the batch (told by the rows unless said); output:NAME is a loss that the model computes itself.',
  },
  pooling: {
    type: 'names',
    value: 'mean | cls | max | lasttoken | …',
    help: "How an embedding model's states become one vector (mean, cls, max, mean_sqrt_len_tokens, weightedmean, lasttoken, or several of them side by side); what its 1_Pooling says, else mean, unless said.",
  },
  'prompt-name': {
    type: 'names',
    value: 'NAME | NAME,NAME',
    help: "Which of an embedding model's prompts (config_sentence_transformers.json) is put before the texts, or one for each text of a pair; its default unless said.",
  },
  'problem-type': {
    type: 'text',
    choices: ['regression', 'single_label_classification', 'multi_label_classification'],
    help: "What the labels of a sequence classifier are; the model's own, else told by the first row.",
  },
  unlabelled: {
    type: 'text',
    choices: ['refuse', 'skip'],
    default: 'refuse',
    help: 'What to do with a row that has nothing to learn: refuse it with an error, or skip it.',
  },
} as const satisfies Flags

/** The options that the objective's flags give. */
export const objectiveOptions = (values: Values<typeof objectiveFlags>): ObjectiveOptions =>
  defined({
    objective: values.objective,
    beta: values.beta,
    labelSmoothing: values['label-smoothing'],
    lossType: values['loss-type'],
    loss: values.loss,
    pooling: values.pooling,
    promptName: values['prompt-name']?.length === 1 ? values['prompt-name'][0] : values['prompt-name'],
    problemType: values['problem-type'],
  }) as ObjectiveOptions

export const trainFlags = {
  model: { type: 'text', value: 'M', required: true, help: 'Model folder, .onnx file or hub id.' },
  data: { type: 'texts', value: 'FILE…', required: true, help: 'Rows to train on: JSONL, CSV, TSV or Parquet.' },
  out: { type: 'text', value: 'DIR', required: true, help: 'Folder for the adapter, checkpoints, log and report.' },
  adapter: { type: 'text', value: 'DIR', help: 'Go on training this adapter (PEFT folder or hub id) in place of a new one.' },
  'eval-data': { type: 'texts', value: 'FILE…', help: 'Rows to evaluate on during training.' },
  r: { type: 'integer', value: 'N', default: 8, help: 'Rank of the adapter, from 1 to the smaller side of the matrix.' },
  alpha: { type: 'number', value: 'X', default: 16, help: 'Numerator of the scale alpha/r.' },
  dropout: { type: 'number', value: 'X', min: 0, default: 0, help: "Probability of dropping an element of the adapter's input." },
  'target-modules': {
    type: 'modules',
    value: 'A,B | all-linear | REGEX',
    help: "Layers to adapt: names or name endings, all-linear, or a regular expression for the whole name. The architecture's usual ones unless said.",
  },
  'exclude-modules': { type: 'modules', value: 'A,B | REGEX', help: 'Layers to leave alone, written the same way.' },
  'layers-to-transform': { type: 'integers', value: 'N,N', help: 'Adapt only the layers of these numbers, counted from 0.' },
  'layers-pattern': { type: 'names', value: 'A,B', help: 'Name of the list that --layers-to-transform counts in.' },
  'rank-pattern': {
    type: 'mapping',
    help: 'Ranks of single layers, as JSON or NAME=N,…; names are regular expressions for the end of the name.',
  },
  'alpha-pattern': { type: 'mapping', help: 'Alphas of single layers, written the same way.' },
  bias: {
    type: 'text',
    choices: ['none', 'all', 'lora_only'],
    default: 'none',
    help: 'Biases to train: none, all, or those of adapted layers (lora_only).',
  },
  'modules-to-save': { type: 'names', value: 'A,B', help: 'Modules to train in full and to store whole, such as a new head.' },
  'trainable-token-indices': {
    type: 'integers',
    value: 'N,N',
    help: 'Rows of the token embedding to train in full and to store: the ids of new tokens.',
  },
  'use-rslora': { type: 'switch', help: 'Scale by alpha/√r.' },
  'use-dora': { type: 'switch', help: 'Train magnitudes and directions apart (DoRA).' },
  'lora-bias': { type: 'switch', help: 'Give the branch of each adapted layer a bias, behind B.' },
  'freeze-a': { type: 'switch', help: 'Train B alone: A stays as it begins (LoRA-FA).' },
  init: {
    type: 'text',
    choices: [...Object.keys(initialisations), ...laterInitialisations],
    default: 'default',
    notYet: laterInitialisations,
    help: 'First values: default (A uniform, B zero), gaussian (A normal, B zero), random (both uniform), orthogonal, pissa (principal part of the weight; pissa_niter_16 is quicker), olora, loftq (what --base int4 or int8 takes from the weights), eva (principal components of what each layer reads on --data, which is read once before; ranks are shared out anew).',
  },
  epochs: { type: 'number', value: 'N', help: 'Passes over the data; 1 unless said.' },
  steps: { type: 'integer', value: 'N', min: 1, help: 'Updates; goes before --epochs.' },
  'batch-size': { type: 'integer', value: 'N', min: 1, default: 8, help: 'Rows in one micro-batch.' },
  'grad-accum': {
    type: 'integer',
    value: 'N',
    min: 1,
    default: 1,
    help: 'Micro-batches in one update, weighted by their tokens.',
  },
  lr: { type: 'number', value: 'X', min: 0, default: 2e-4, help: 'Learning rate.' },
  'lora-plus-ratio': { type: 'number', value: 'X', min: 1, help: 'LoRA+: learning rate of B by that of A.' },
  schedule: {
    type: 'text',
    choices: ['constant', 'linear', 'cosine'],
    default: 'constant',
    help: 'Course of the learning rate.',
  },
  warmup: {
    type: 'number',
    value: 'N | ratio',
    min: 0,
    default: 0,
    help: 'Steps of warm-up, or a share of all steps if below 1.',
  },
  'weight-decay': { type: 'number', value: 'X', min: 0, default: 0, help: 'Decoupled weight decay.' },
  'max-grad-norm': {
    type: 'number',
    value: 'X',
    min: 0,
    default: 1,
    help: 'Largest global norm of the gradient; 0 clips nothing.',
  },
  'adam-beta1': { type: 'number', value: 'X', min: 0, default: 0.9, help: 'Decay of the first moment.' },
  'adam-beta2': { type: 'number', value: 'X', min: 0, default: 0.999, help: 'Decay of the second moment.' },
  'adam-epsilon': { type: 'number', value: 'X', min: 0, default: 1e-8, help: 'Added to the denominator.' },
  'max-length': {
    type: 'integer',
    value: 'N',
    min: 1,
    help: "Longest row in tokens; longer ones are cut. The model's positions unless said.",
  },
  ...objectiveFlags,
  'no-shuffle': { type: 'switch', help: 'Take the rows in the order of the file.' },
  'group-by-length': { type: 'switch', help: 'Put rows of similar length into a batch: less padding.' },
  packing: { type: 'switch', help: 'Put several examples into a row; they do not see each other.' },
  ...baseFlag,
  recompute: {
    type: 'switch',
    help: 'Compute activations again in the backward pass rather than keep them: less memory, more time, the same results.',
  },
  'eval-every': { type: 'integer', value: 'N', min: 1, help: 'Steps between evaluations; at the end of each epoch unless said.' },
  'eval-batch-size': { type: 'integer', value: 'N', min: 1, help: 'Rows in one batch of evaluation; --batch-size unless said.' },
  'early-stopping': {
    type: 'integer',
    value: 'N',
    min: 1,
    help: 'Stop after N evaluations without a lower loss, and keep what the best evaluation was of.',
  },
  'on-nan': {
    type: 'text',
    choices: ['stop', 'skip'],
    default: 'stop',
    help: 'What to do when loss or gradient is not finite: stop, or skip the update.',
  },
  'checkpoint-every': {
    type: 'integer',
    value: 'N',
    min: 0,
    default: 0,
    help: 'Steps between checkpoints; 0 writes none (but Ctrl-C and errors do).',
  },
  'save-total-limit': { type: 'integer', value: 'N', min: 1, default: 2, help: 'Checkpoints to keep.' },
  'no-model-card': { type: 'switch', help: 'Write no README.md into --out.' },
  license: { type: 'text', value: 'ID', help: "Licence that the model card names, by the hub's identifiers: apache-2.0." },
  resume: { type: 'switch', help: 'Continue from the newest checkpoint in --out.' },
  overwrite: {
    type: 'switch',
    help: 'Write into --out although it holds a finished adapter, checkpoints or a model; what an earlier run left there is removed. Never into the base model.',
  },
  'dry-run': {
    type: 'switch',
    help: 'Check all rows and predict peak memory and time per step, then stop: no weight is read, nothing is trained or written.',
  },
  distributed: {
    type: 'switch',
    help: 'Train with the other processes of an MPI job; assumed under mpirun and srun --mpi=pmix. --batch-size is that of each process.',
  },
} as const satisfies Flags
