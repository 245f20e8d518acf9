/** @file Numbers of the paper (Hu et al., 2021, tables 2 and 3), of its repository's README, and what others got. As printed. */

/** A row as it is printed; what it does not have is left out. */
export interface PublishedRow {
  readonly model: string
  readonly method: string
  /** As the table prints it: `0.35 M`. */
  readonly parameters: string
  readonly values: Readonly<Record<string, string>>
}

/** What people report who ran the original scripts with LoRA, and in which issues of microsoft/LoRA. */
export interface CommunityRow {
  readonly model: string
  readonly issues: readonly number[]
  readonly values: Readonly<Record<string, string>>
}

const rows = (columns: readonly string[], model: string, lines: readonly (readonly string[])[]): PublishedRow[] =>
  lines.map(([method, parameters, ...cells]) => ({
    ...{ model, method: method!, parameters: parameters! },
    values: Object.fromEntries(columns.flatMap((column, i) => (cells[i] === undefined ? [] : [[column, cells[i]]]))),
  }))

const e2eColumns = ['BLEU', 'NIST', 'METEOR', 'ROUGE-L', 'CIDEr'] as const
const webnlgColumns = ['BLEU unseen', 'BLEU seen', 'BLEU all'] as const
const glueColumns = ['MNLI', 'SST-2', 'MRPC', 'CoLA', 'QNLI', 'QQP', 'RTE', 'STS-B', 'average'] as const

export const publishedE2e: readonly PublishedRow[] = [
  ...rows(e2eColumns, 'GPT-2 M', [
    ['all weights', '354.92 M', '68.2', '8.62', '46.2', '71.0', '2.47'],
    ['Adapter-L', '0.37 M', '66.3', '8.41', '45.0', '69.8', '2.40'],
    ['Adapter-L', '11.09 M', '68.9', '8.71', '46.1', '71.3', '2.47'],
    ['Adapter-H', '11.09 M', '67.3±.6', '8.50±.07', '46.0±.2', '70.7±.2', '2.44±.01'],
    ['last two layers', '25.19 M', '68.1', '8.59', '46.0', '70.8', '2.41'],
    ['PreLayer', '0.35 M', '69.7', '8.81', '46.1', '71.4', '2.49'],
    ['LoRA', '0.35 M', '70.4±.1', '8.85±.02', '46.8±.2', '71.8±.1', '2.53±.02'],
  ]),
  ...rows(e2eColumns, 'GPT-2 L', [
    ['all weights', '774.03 M', '68.5', '8.78', '46.0', '69.9', '2.45'],
    ['Adapter-L', '0.88 M', '69.1±.1', '8.68±.03', '46.3±.0', '71.4±.2', '2.49±.0'],
    ['Adapter-L', '23.00 M', '68.9±.3', '8.70±.04', '46.1±.1', '71.3±.2', '2.45±.02'],
    ['PreLayer', '0.77 M', '70.3', '8.85', '46.2', '71.7', '2.47'],
    ['LoRA', '0.77 M', '70.4±.1', '8.89±.02', '46.8±.2', '72.0±.2', '2.47±.02'],
  ]),
]

export const communityE2e: readonly CommunityRow[] = [
  {
    model: 'GPT-2 M',
    issues: [165],
    values: {
      BLEU: '68.65 to 68.87',
      NIST: '8.68 to 8.69',
      METEOR: '46.38 to 46.50',
      'ROUGE-L': '71.16 to 71.39',
      CIDEr: '2.50 to 2.51',
    },
  },
]

export const publishedDart: readonly PublishedRow[] = [
  ...rows(['BLEU'], 'GPT-2 M', [
    ['all weights', '354.92 M', '46.0'],
    ['Adapter-L', '0.37 M', '42.4'],
    ['PreLayer', '0.35 M', '45.7'],
    ['LoRA', '0.35 M', '47.1±.2'],
  ]),
  ...rows(['BLEU'], 'GPT-2 L', [
    ['all weights', '774.03 M', '46.5'],
    ['Adapter-L', '0.88 M', '45.7±.1'],
    ['PreLayer', '0.77 M', '46.5'],
    ['LoRA', '0.77 M', '47.5±.1'],
  ]),
]

export const publishedWebnlg: readonly PublishedRow[] = [
  ...rows(webnlgColumns, 'GPT-2 M', [
    ['all weights', '354.92 M', '30.4', '63.2', '47.6'],
    ['Adapter-L', '0.37 M', '45.1', '54.5', '50.2'],
    ['PreLayer', '0.35 M', '44.1', '63.1', '54.4'],
    ['LoRA', '0.35 M', '46.7±.4', '62.1±.2', '55.3±.2'],
  ]),
  ...rows(webnlgColumns, 'GPT-2 L', [
    ['all weights', '774.03 M', '41.7', '64.6', '54.2'],
    ['Adapter-L', '0.88 M', '49.8±.0', '61.1±.0', '56.0±.0'],
    ['PreLayer', '0.77 M', '47.0', '64.2', '56.4'],
    ['LoRA', '0.77 M', '48.4±.3', '64.0±.3', '57.0±.1'],
  ]),
]

/** Median of five seeds, best epoch. † is the setting of Houlsby et al.: 128 tokens, batches of 32, no start from MNLI. */
export const publishedGlue: readonly PublishedRow[] = [
  ...rows(glueColumns, 'RoBERTa base', [
    ['all weights', '125.0 M', '87.6', '94.8', '90.2', '63.6', '92.8', '91.9', '78.7', '91.2', '86.4'],
    ['BitFit', '0.1 M', '84.7', '93.7', '92.7', '62.0', '91.8', '84.0', '81.5', '90.8', '85.2'],
    ['Adapter-D', '0.3 M', '87.1', '94.2', '88.5', '60.8', '93.1', '90.2', '71.5', '89.7', '84.4'],
    ['Adapter-D', '0.9 M', '87.3', '94.7', '88.4', '62.6', '93.0', '90.6', '75.9', '90.3', '85.4'],
    ['LoRA', '0.3 M', '87.5±.3', '95.1±.2', '89.7±.7', '63.4±1.2', '93.3±.3', '90.8±.1', '86.6±.7', '91.5±.2', '87.2'],
  ]),
  ...rows(glueColumns, 'RoBERTa large', [
    ['all weights', '355.0 M', '90.2', '96.4', '90.9', '68.0', '94.7', '92.2', '86.6', '92.4', '88.9'],
    ['LoRA', '0.8 M', '90.6±.2', '96.2±.5', '90.9±1.2', '68.2±1.9', '94.9±.3', '91.6±.1', '87.4±2.5', '92.6±.2', '89.0'],
    ['Adapter-P †', '3.0 M', '90.2', '96.1', '90.2', '68.3', '94.8', '91.9', '83.8', '92.1', '88.4'],
    ['Adapter-P †', '0.8 M', '90.5', '96.6', '89.7', '67.8', '94.8', '91.7', '80.1', '91.9', '87.9'],
    ['Adapter-H †', '6.0 M', '89.9', '96.2', '88.7', '66.5', '94.7', '92.1', '83.4', '91.0', '87.8'],
    ['Adapter-H †', '0.8 M', '90.3', '96.3', '87.7', '66.3', '94.7', '91.5', '72.9', '91.5', '86.4'],
    ['LoRA †', '0.8 M', '90.6', '96.2', '90.2', '68.2', '94.8', '91.6', '85.2', '92.3', '88.6'],
  ]),
  ...rows(glueColumns, 'DeBERTa XXL', [
    ['all weights', '1500 M', '91.8', '97.2', '92.0', '72.0', '96.0', '92.7', '93.9', '92.9', '91.1'],
    ['LoRA', '4.7 M', '91.9±.2', '96.9±.2', '92.6±.6', '72.4±1.1', '96.0±.1', '92.9±.1', '94.9±.4', '93.0±.2', '91.3'],
  ]),
]

export const communityGlue: readonly CommunityRow[] = [
  { model: 'RoBERTa base', issues: [151], values: { MNLI: '66.55 with α = 8', 'STS-B': '91.03' } },
  {
    model: 'RoBERTa large',
    issues: [35, 149, 151],
    values: { MNLI: '31.3', MRPC: '90.7', CoLA: '0 to 67.0', 'STS-B': '92.2' },
  },
]
