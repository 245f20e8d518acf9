/**
 * @file What transformers 5 makes of tokenizer.json: its classes (`tokenizer_class`) put components of their own in the
 * place of the file's, and tokenizer_config.json adds tokens.
 */
import type { AddedToken } from '../tokenizer/added-tokens.js'

type Json = Readonly<Record<string, unknown>>

/** Roles of special tokens, in the order in which transformers adds them. */
export const roles = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'] as const
export type Role = (typeof roles)[number]

/** A class of transformers that rebuilds its tokenizer from the vocabulary. */
export interface TokenizerClass {
  /** Special tokens that it has unless tokenizer_config.json says otherwise. */
  readonly tokens: Partial<Readonly<Record<Role, string>>>
  /** Whether the texts of a pair are told apart by types. */
  readonly types: boolean
  /** Its special tokens lose the white space and normalising that the file gives them. */
  readonly plainSpecials?: boolean
  /** Whether a file is of the class's kind; one of another kind keeps its components, for its tokens would be noise. */
  fits(file: Json): boolean
  /** @param token the text of a role's token */
  rebuild(file: Json, config: Json, token: (role: Role) => string): Json
  /** The post-processor where the class has one of its own. @param id the id of a role's token */
  readonly postProcessor?: (token: (role: Role) => string, id: (role: Role) => number) => Json
}

const modelOf = (file: Json): Json => (file['model'] ?? {}) as Json
const isBpe = (file: Json): boolean => modelOf(file)['type'] === 'BPE' || Array.isArray(modelOf(file)['merges'])
const isUnigram = (file: Json): boolean => Array.isArray(modelOf(file)['vocab'])
const isWordPiece = (file: Json): boolean => modelOf(file)['type'] === 'WordPiece'

/** Whether a component, or a part of it, is of a type. */
function hasType(component: unknown, type: string): boolean {
  if (Array.isArray(component)) return component.some((part) => hasType(part, type))
  if (typeof component !== 'object' || component === null) return false
  return Object.entries(component).some(([key, value]) => (key === 'type' && value === type) || hasType(value, type))
}

const isByteLevel = (file: Json): boolean =>
  isBpe(file) && (hasType(file['pre_tokenizer'], 'ByteLevel') || hasType(file['normalizer'], 'ByteLevel'))
const fallsBack = (file: Json): boolean => isBpe(file) && modelOf(file)['byte_fallback'] === true

/** A BPE model with the vocabulary of the file, and the flags that a class gives it. */
function bpe(file: Json, flags: Json): Json {
  const { vocab, merges } = modelOf(file)
  return { type: 'BPE', vocab, merges, dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, ...flags }
}

const sequence = (key: string, parts: readonly Json[]): Json => ({ type: 'Sequence', [key]: parts })
const byteLevel = (prefix: boolean, pattern = true): Json => ({
  type: 'ByteLevel',
  add_prefix_space: prefix,
  trim_offsets: true,
  use_regex: pattern,
})
const metaspace = (scheme: string, split = true): Json => ({ type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split })
const replace = (pattern: Json, content: string): Json => ({ type: 'Replace', pattern, content })
const markToSpace = replace({ String: '▁' }, ' ')
const fallback: readonly Json[] = [markToSpace, { type: 'ByteFallback' }, { type: 'Fuse' }]

/** Whether a flag of tokenizer_config.json is set; null counts as absent. */
const flag = (config: Json, key: string, otherwise: boolean): boolean =>
  config[key] === undefined || config[key] === null ? otherwise : Boolean(config[key])

/** A template of a text and of two, by special tokens (ids), A and B. */
function template(single: readonly Part[], pair: readonly Part[]): Json {
  const special: Record<string, Json> = {}
  const parts = (written: readonly Part[]): Json[] =>
    written.map(({ text, token, id, type }) => {
      if (token === undefined) return { Sequence: { id: text, type_id: type } }
      special[token] = { id: token, ids: [id], tokens: [token] }
      return { SpecialToken: { id: token, type_id: type } }
    })
  return { type: 'TemplateProcessing', single: parts(single), pair: parts(pair), special_tokens: special }
}

interface Part {
  readonly text?: 'A' | 'B'
  readonly token?: string
  readonly id?: number
  readonly type: number
}

/** Special tokens by RoBERTa's names, which others have, too. */
const robertaTokens = { bos: '<s>', eos: '</s>', unk: '<unk>', sep: '</s>', pad: '<pad>', cls: '<s>', mask: '<mask>' }

const gpt2: TokenizerClass = {
  tokens: { bos: '<|endoftext|>', eos: '<|endoftext|>', unk: '<|endoftext|>' },
  types: false,
  fits: isByteLevel,
  rebuild: (file, config) => ({
    ...file,
    model: bpe(file, {}),
    normalizer: null,
    pre_tokenizer: byteLevel(flag(config, 'add_prefix_space', false)),
    decoder: byteLevel(true),
  }),
}

/** BERT's pattern of special tokens, which DeBERTa has, too. */
const clsSep: NonNullable<TokenizerClass['postProcessor']> = (token, id) => {
  const [cls, sep] = (['cls', 'sep'] as const).map((role) => (type: number): Part => ({ token: token(role), id: id(role), type }))
  const first: Part[] = [cls!(0), { text: 'A', type: 0 }, sep!(0)]
  return template(first, [...first, { text: 'B', type: 1 }, sep!(1)])
}

const robertaProcessing: NonNullable<TokenizerClass['postProcessor']> = (token, id) => ({
  type: 'RobertaProcessing',
  sep: [token('sep'), id('sep')],
  cls: [token('cls'), id('cls')],
  trim_offsets: true,
  add_prefix_space: false,
})

const bert: TokenizerClass = {
  tokens: { unk: '[UNK]', sep: '[SEP]', pad: '[PAD]', cls: '[CLS]', mask: '[MASK]' },
  types: true,
  fits: isWordPiece,
  rebuild: (file, config, token) => ({
    ...file,
    model: {
      type: 'WordPiece',
      vocab: modelOf(file)['vocab'],
      unk_token: token('unk'),
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
    },
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: flag(config, 'tokenize_chinese_chars', true),
      strip_accents: config['strip_accents'] ?? null,
      lowercase: flag(config, 'do_lower_case', true),
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  }),
  postProcessor: clsSep,
}

const qwenPattern = (letters: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?${letters === '' ? '\\p{L}' : `[\\p{L}${letters}]`}+|\\p{N}| ?[^\\s\\p{L}${letters}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

const qwen = (letters: string): TokenizerClass => ({
  tokens: { eos: '<|endoftext|>', unk: '<|endoftext|>', pad: '<|endoftext|>' },
  types: false,
  plainSpecials: true,
  fits: isByteLevel,
  rebuild: (file, config) => ({
    ...file,
    model: bpe(file, {}),
    normalizer: { type: 'NFC' },
    pre_tokenizer: sequence('pretokenizers', [
      { type: 'Split', pattern: { Regex: qwenPattern(letters) }, behavior: 'Isolated', invert: false },
      byteLevel(flag(config, 'add_prefix_space', false), false),
    ]),
    decoder: byteLevel(true),
  }),
})

/** Takes back the space that stands for the beginning of a text. */
const leadingSpace: Json = { type: 'Strip', content: ' ', start: 1, stop: 0 }

const llama: TokenizerClass = {
  tokens: { bos: '<s>', eos: '</s>', unk: '<unk>' },
  types: false,
  fits: fallsBack,
  rebuild: (file, config) => {
    const prefix = flag(config, 'add_prefix_space', true)
    const scheme = !prefix ? 'never' : flag(config, 'legacy', false) ? 'always' : 'first'
    return {
      ...file,
      model: bpe(file, { fuse_unk: true, byte_fallback: true }),
      normalizer: null,
      pre_tokenizer: metaspace(scheme, false),
      decoder: sequence('decoders', prefix ? [...fallback, leadingSpace] : fallback),
    }
  },
}

const xlmRoberta: TokenizerClass = {
  tokens: robertaTokens,
  types: false,
  fits: isUnigram,
  rebuild: (file, config) => {
    const scheme = flag(config, 'add_prefix_space', true) ? 'always' : 'never'
    return {
      ...file,
      model: { type: 'Unigram', vocab: modelOf(file)['vocab'], unk_id: 3, byte_fallback: false },
      normalizer: precompiled(file['normalizer']),
      pre_tokenizer: sequence('pretokenizers', [{ type: 'WhitespaceSplit' }, metaspace(scheme)]),
      decoder: metaspace(scheme),
    }
  },
  postProcessor: (token, id) => {
    const [bos, eos] = (['bos', 'eos'] as const).map((role): Part => ({ token: token(role), id: id(role), type: 0 }))
    const first: Part[] = [bos!, { text: 'A', type: 0 }, eos!]
    return template(first, [...first, eos!, { text: 'B', type: 0 }, eos!])
  },
}

/** The classes whose tokenizers are rebuilt; all others take tokenizer.json as it is. */
const classes: Readonly<Record<string, TokenizerClass>> = {
  LlamaTokenizer: llama,
  CodeLlamaTokenizer: {
    ...llama,
    rebuild: (file, config, token) => ({
      ...llama.rebuild(file, { ...config, legacy: false }, token),
      model: bpe(file, { fuse_unk: true, byte_fallback: true, unk_token: token('unk') }),
      decoder: sequence('decoders', [...fallback, leadingSpace]),
    }),
    postProcessor: (token, id) => {
      const bos = { token: token('bos'), id: id('bos'), type: 0 }
      const first: Part[] = [bos, { text: 'A', type: 0 }]
      return template(first, [...first, { ...bos, type: 1 }, { text: 'B', type: 1 }])
    },
  },
  CohereTokenizer: {
    tokens: {
      ...{ bos: '<BOS_TOKEN>', eos: '<|END_OF_TURN_TOKEN|>', unk: '<UNK>', pad: '<PAD>' },
      ...{ cls: '<CLS>', sep: '<SEP>', mask: '<MASK_TOKEN>' },
    },
    types: false,
    fits: isByteLevel,
    rebuild: (file, config) => {
      const prefix = flag(config, 'add_prefix_space', false)
      return {
        ...file,
        model: bpe(file, {}),
        normalizer: { type: 'NFC' },
        pre_tokenizer: sequence('pretokenizers', [{ type: 'Digits', individual_digits: true }, byteLevel(prefix)]),
        decoder: byteLevel(prefix),
      }
    },
  },
  GemmaTokenizer: {
    tokens: { bos: '<bos>', eos: '<eos>', unk: '<unk>', pad: '<pad>', mask: '<mask>' },
    types: false,
    fits: fallsBack,
    rebuild: (file, _config, token) => ({
      ...file,
      model: bpe(file, { fuse_unk: true, byte_fallback: true, unk_token: token('unk') }),
      normalizer: replace({ String: ' ' }, '▁'),
      pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false },
      decoder: sequence('decoders', fallback),
    }),
  },
  GPT2Tokenizer: gpt2,
  RobertaTokenizer: {
    ...gpt2,
    tokens: robertaTokens,
    postProcessor: robertaProcessing,
  },
  Qwen2Tokenizer: qwen(''),
  Qwen3_5Tokenizer: qwen('\\p{M}'),
  GPTNeoXTokenizer: {
    ...gpt2,
    tokens: { ...gpt2.tokens, pad: '<|padding|>' },
    rebuild: (file, config, token) => ({
      ...gpt2.rebuild(file, config, token),
      normalizer: { type: 'NFC' },
      post_processor: null,
    }),
  },
  BertTokenizer: bert,
  DistilBertTokenizer: { ...bert, types: false },
  MPNetTokenizer: {
    ...bert,
    tokens: { ...robertaTokens, unk: '[UNK]' },
    types: false,
    postProcessor: robertaProcessing,
  },
  XLMRobertaTokenizer: xlmRoberta,
  CamembertTokenizer: {
    ...xlmRoberta,
    rebuild: (file, config, token) => {
      const vocab = modelOf(file)['vocab'] as readonly (readonly [string, number])[]
      const unknown = vocab.findIndex(([text]) => text === token('unk'))
      const built = xlmRoberta.rebuild(file, config, token)
      return { ...built, model: { ...modelOf(built), unk_id: Math.max(0, unknown) } }
    },
  },
  AlbertTokenizer: {
    tokens: { bos: '[CLS]', eos: '[SEP]', unk: '<unk>', sep: '[SEP]', pad: '<pad>', cls: '[CLS]', mask: '[MASK]' },
    types: false,
    fits: isUnigram,
    rebuild: (file, config, token) => {
      const built = xlmRoberta.rebuild(file, config, token)
      const map = precompiled(file['normalizer'])
      return {
        ...built,
        model: { ...modelOf(built), unk_id: 1 },
        normalizer: sequence('normalizers', [
          replace({ String: '``' }, '"'),
          replace({ String: "''" }, '"'),
          ...(flag(config, 'keep_accents', false) ? [] : [{ type: 'NFKD' }, { type: 'StripAccents' }]),
          ...(flag(config, 'do_lower_case', true) ? [{ type: 'Lowercase' }] : []),
          ...(map === null ? [] : [map]),
        ]),
      }
    },
  },
  DebertaV2Tokenizer: {
    tokens: { bos: '[CLS]', eos: '[SEP]', unk: '[UNK]', sep: '[SEP]', pad: '[PAD]', cls: '[CLS]', mask: '[MASK]' },
    types: true,
    fits: isUnigram,
    rebuild: (file, config, token) => {
      const scheme = flag(config, 'add_prefix_space', true) ? 'always' : 'first'
      const vocab = modelOf(file)['vocab'] as readonly (readonly [string, number])[]
      const unknown = vocab.findIndex(([text, score]) => text === token('unk') && score === 0)
      return {
        ...file,
        model: { type: 'Unigram', vocab, unk_id: unknown >= 0 ? unknown : (config['unk_id'] ?? 1), byte_fallback: false },
        normalizer: sequence('normalizers', [
          ...(flag(config, 'do_lower_case', false) ? [{ type: 'Lowercase' }] : []),
          replace({ Regex: '\\s{2,}|[\\n\\r\\t]' }, ' '),
          { type: 'NFC' },
          { type: 'Strip', strip_left: false, strip_right: true },
        ]),
        pre_tokenizer: sequence('pretokenizers', [
          ...(flag(config, 'split_by_punct', false) ? [{ type: 'Punctuation', behavior: 'Isolated' }] : []),
          metaspace(scheme),
        ]),
        decoder: metaspace(scheme),
      }
    },
    postProcessor: clsSep,
  },
}

/** Names that transformers has given to one of them, too. */
const otherNames: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    RobertaTokenizer: 'Bart LED Longformer Mvp',
    BertTokenizer: 'Electra LayoutLM Lxmert MobileBert SqueezeBert',
    LlamaTokenizer: 'Phi3',
  }).flatMap(([name, others]) => others.split(' ').map((other) => [`${other}Tokenizer`, name])),
)

/** The character map of a normalizer, or of the first of its parts that has one. */
function precompiled(normalizer: unknown): Json | null {
  if (typeof normalizer !== 'object' || normalizer === null) return null
  const { type, normalizers } = normalizer as Json
  const parts = type === 'Sequence' && Array.isArray(normalizers) ? (normalizers as unknown[]) : [normalizer]
  return (parts.find((part) => hasType(part, 'Precompiled')) as Json | undefined) ?? null
}

/** `model_type`s for which transformers takes tokenizer.json as it is, whatever `tokenizer_class` says. */
const asItIs = new Set(
  (
    'arctic chameleon chatlm deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 deepseek_vl deepseek_vl_hybrid deepseek_vl_v2 ' +
    'deepseek_ocr deepseek_ocr2 ernie4_5 ernie4_5_moe fuyu h2ovl_chat hyperclovax hyperclovax_vlm internlm2 jamba janus llava ' +
    'llava_next minicpm3 minicpmv minimax_m2 modernbert modernbert-decoder molmo molmo2 nemotron nvfp4 opencua openvla ' +
    'paddleocr_vl phi3 phi3_v phimoe step3p5 step3_vl vipllava cohere_asr camembertv2-base smolvlm ' +
    'aria bigbird_pegasus flex_olmo glm glm4 glm4_moe glm4_moe_lite gpt_bigcode granite granitemoe granitemoehybrid ' +
    'granitemoeshared kimi_k25 kimi_linear mimo_v2_flash nystromformer olmo2 olmo3 olmo_hybrid pegasus_x persimmon stablelm umt5 ' +
    'xlm-roberta-xl'
  ).split(' '),
)

/** `model_type`s whose files on the hub name a wrong class. */
const misnamed = new Set(['qwen2', 'qwen3_5', 'qwen3_5_moe', 'qwen3_5_moe_text'])

/** Classes that a `model_type` has where no file names one. */
const ofModelType: Readonly<Record<string, readonly string[]>> = {
  BertTokenizer: 'align bert convbert distilbert electra ernie megatron-bert nezha nomic_bert realm squeezebert'.split(' '),
  RobertaTokenizer: 'bart data2vec-text ibert longformer mega mra roberta roberta-prelayernorm'.split(' '),
  XLMRobertaTokenizer: 'gte jina_embeddings_v3 xlm-roberta xmod'.split(' '),
  DebertaV2Tokenizer: ['deberta-v2'],
  AlbertTokenizer: ['albert'],
  CamembertTokenizer: ['camembert'],
  MPNetTokenizer: ['mpnet'],
  CodeLlamaTokenizer: ['code_llama'],
  CohereTokenizer: ['cohere', 'cohere2'],
  GPT2Tokenizer: 'codegen dbrx gpt2 gpt_neo gptj jais2 opt phi starcoder2'.split(' '),
  GPTNeoXTokenizer: 'gpt_neox mamba mamba2 rwkv xlstm'.split(' '),
  GemmaTokenizer: 'gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma t5gemma'.split(' '),
  Qwen2Tokenizer: 'qwen2 qwen2_moe qwen2_vl qwen2_5_vl qwen3 qwen3_moe qwen3_next qwen3_vl qwen3_vl_moe'.split(' '),
  Qwen3_5Tokenizer: 'qwen3_5 qwen3_5_moe qwen3_5_moe_text'.split(' '),
}

/** The class that rebuilds a tokenizer; undefined where tokenizer.json is taken as it is. */
export function classOf(file: Json, config: Json, modelConfig: Json): TokenizerClass | undefined {
  const type = modelConfig['model_type']
  if (typeof type === 'string' && asItIs.has(type)) return undefined
  const named = config['tokenizer_class'] ?? modelConfig['tokenizer_class']
  const registered = Object.keys(ofModelType).find((name) => typeof type === 'string' && ofModelType[name]!.includes(type))
  const trusted = typeof named === 'string' && !(typeof type === 'string' && misnamed.has(type))
  const given = trusted ? named.replace(/Fast$/, '') : registered
  const name = given !== undefined && Object.hasOwn(otherNames, given) ? otherNames[given] : given
  const found = name !== undefined && Object.hasOwn(classes, name) ? classes[name] : undefined
  return found?.fits(file) === true ? found : undefined
}

/** A token that the configuration names by its text alone. */
export const plainSpecial = (content: string): AddedToken => ({
  content,
  singleWord: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
})
