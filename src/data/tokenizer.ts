/** @file A model's tokenizer: text to token ids and back, special tokens, chat template. */
import { InvalidDataError } from '../errors.js'
import type { Files } from '../io/files.js'
import type { Rendered } from './assistant-spans.js'
import { ChatTemplate } from './chat-template.js'
import type { Message, TemplateVariables } from './messages.js'
import { cleanUpSpaces } from '../tokenizer/clean-up.js'
import { componentTypes } from '../tokenizer/json.js'
import type { Pipeline } from '../tokenizer/pipeline.js'
import type { PlacedToken } from '../tokenizer/pipeline.js'
import { buildPipeline, type BuiltPipeline } from './build-pipeline.js'
import type { TokenizerClass } from './tokenizer-class.js'
import { keptLengths, readSurroundings, surround, type EncodedText, type Surroundings } from './text-pairs.js'
import { readSpecialTokens, readTokenizerFolder, type TemplateSource, type TokenizerFolder } from './tokenizer-folder.js'

/**
 * Classes whose `add_bos_token` and `add_eos_token` count where tokenizer.json is of another kind than theirs: a byte-level
 * vocabulary under Llama's name, whose post-processor may add nothing. Beside a file of their own kind its post-processor
 * decides, as in transformers 5.
 */
const CLASSES_WITH_OWN_BOS = /^(CodeLlama|Llama|Gemma)Tokenizer(Fast)?$/

/** Token ids and, for each, whether it is to be learned. */
export interface MaskedTokens {
  /** Token ids. */
  readonly ids: readonly number[]
  /** Stretches of `ids`: [start, end). */
  readonly learn: readonly TokenSpan[]
  /** How the last stretch ends, where nothing but special tokens and white space follows it. */
  readonly turnEnd?: TurnEnd
}

/** Tokens [start, end). */
export interface TokenSpan {
  /** First token. */
  readonly start: number
  /** The token behind the last. */
  readonly end: number
}

/** How a learned turn ends: its closing is the run of special tokens and white space at its end. */
export interface TurnEnd {
  /** The last special token of the closing, with which the model says that it is done; undefined where there is none. */
  readonly token: number | undefined
  /** The closing as text, or the last characters of a turn that has none. */
  readonly text: string
  /** Whether transformers' generation stops at one of the closing's tokens: its `eos_token_id` of generation_config.json. */
  readonly stops: boolean
}

/** A text as a model with a head reads it, and which characters its tokens stand for. */
export interface PlacedText extends EncodedText {
  /** For each token its place in the text; undefined for special tokens. */
  readonly places: readonly (PlacedToken | undefined)[]
}

/** What of a dialogue is learned, and what its chat template is given beside it. */
export interface DialogueOptions {
  /** For each message whether it is learned; those of the assistant by default. Of a completion: for each of its messages. */
  readonly learned?: readonly boolean[]
  /** What the chat template is given beside the messages. */
  readonly variables?: TemplateVariables
}

/** A tokenizer as Python's tokenizers runs it, with the chat template beside it. */
export class Tokenizer {
  /** What `tokenizer(text)` puts before and after a text. */
  readonly prefix: readonly number[]
  /** What `tokenizer(text)` puts behind a text. */
  readonly suffix: readonly number[]
  /** Begins a text, where the tokenizer names one. */
  readonly bosTokenId: number | undefined
  /** Ends a text in training. */
  readonly eosTokenId: number | undefined
  /** Every token that ends generation: the tokenizer's own and the model's. */
  readonly eosTokenIds: readonly number[]
  /** Those of generation_config.json, or else config.json: the ones that transformers stops at. */
  readonly modelEosTokenIds: readonly number[]
  /** Fills the ends of batches; masked, so any token will do where the tokenizer names none. */
  readonly padTokenId: number
  /** Stands for a whole text in classifiers, where the tokenizer names one. */
  readonly clsTokenId: number | undefined
  /** Stands in the place of tokens that a masked language model is asked for, where the tokenizer names one. */
  readonly maskTokenId: number | undefined
  /** Stands for what the vocabulary lacks, where the tokenizer names one. */
  readonly unkTokenId: number | undefined
  private readonly template: ChatTemplate | undefined
  /** In its place where tools are given. */
  private readonly toolTemplate: ChatTemplate | undefined
  /** Byte-level tokenizers take a word's space for a part of it. */
  private readonly wordsNeedSpace: boolean
  /** Whether the model is told the texts of a pair apart. */
  private readonly hasTypes: boolean
  private readonly cleansUp: boolean
  private pairSurroundings: Surroundings | undefined

  private constructor(
    private readonly pipeline: Pipeline,
    /** Where it was read from, for messages. */
    readonly folder: string,
    { tokens, tokenizerClass }: Omit<BuiltPipeline, 'pipeline'>,
    contents: TokenizerFolder,
    clock: () => Date,
  ) {
    const special = readSpecialTokens(contents, tokens, (token) => pipeline.idOf(token))
    this.bosTokenId = special.bos
    this.eosTokenId = special.eos
    this.eosTokenIds = special.ends
    this.modelEosTokenIds = special.modelEnds
    this.unkTokenId = special.unk
    const idOf = (name: string | undefined): number | undefined => (name === undefined ? undefined : pipeline.idOf(name))
    this.clsTokenId = idOf(special.names['cls_token'])
    this.maskTokenId = idOf(special.names['mask_token'])
    this.padTokenId = special.pad ?? special.eos ?? 0
    const { prefix, suffix } = this.surroundings(tokenizerClass === undefined ? contents.config : {})
    this.prefix = prefix
    this.suffix = suffix
    this.hasTypes = namesTypes(contents, tokenizerClass)
    this.cleansUp =
      contents.config['clean_up_tokenization_spaces'] === true && componentTypes(contents.tokenizer['model'], '')[0] !== 'BPE'
    const { pre_tokenizer: splitter } = contents.tokenizer
    this.wordsNeedSpace = componentTypes(splitter, 'pretokenizers').includes('ByteLevel')
    const templateOf = (given: TemplateSource | undefined): ChatTemplate | undefined =>
      given && new ChatTemplate(given.source, given.file, special.names, clock)
    this.template = templateOf(contents.template)
    this.toolTemplate = templateOf(contents.toolTemplate)
  }

  /** @internal @throws InvalidDataError if tokenizer.json asks for a component that is not known */
  static create(contents: TokenizerFolder, folder: string, clock: () => Date, lowercase = false): Tokenizer {
    const { pipeline, ...built } = buildPipeline(contents, folder, lowercase)
    return new Tokenizer(pipeline, folder, built, contents, clock)
  }

  /** Number of tokens: the vocabulary's and those added to it. */
  get size(): number {
    return this.pipeline.size
  }

  /** Whether dialogues can be laid out. */
  get hasChatTemplate(): boolean {
    return this.template !== undefined
  }

  /** Token ids of a text; with the tokenizer's own special tokens around it unless `addSpecialTokens` is false. */
  encode(text: string, options: { readonly addSpecialTokens?: boolean } = {}): number[] {
    const ids = this.pipeline.encode(text)
    return options.addSpecialTokens === false ? ids : [...this.prefix, ...ids, ...this.suffix]
  }

  /** Token ids of a text that is to be continued: what the tokenizer puts before, nothing after. */
  encodePrompt(text: string): number[] {
    return [...this.prefix, ...this.encode(text, { addSpecialTokens: false })]
  }

  /**
   * A text, or two, as a model with a head reads them: with the special tokens and token types of the tokenizer's
   * post-processor, cut to `maxLength` tokens in all by transformers' `longest_first`.
   * @throws InvalidDataError if the post-processor changes the tokens of the texts
   */
  encodeTexts(texts: readonly [string] | readonly [string, string], maxLength?: number): EncodedText {
    const ids = texts.map((text) => this.pipeline.encode(text))
    const around = texts.length === 1 ? this.singleSurroundings() : this.aroundPairs()
    return this.typed(surround(ids, around, maxLength, this.sizesOf(texts, ids, maxLength)))
  }

  /** Python's library stops tokenising a text at the end of the word that reaches the limit, and cuts then. */
  private sizesOf(texts: readonly string[], ids: readonly (readonly number[])[], maxLength = Infinity): readonly number[] {
    return ids.map(({ length }, i) => (length > maxLength ? this.pipeline.encode(texts[i]!, maxLength).length : length))
  }

  private typed(encoded: EncodedText): EncodedText {
    return this.hasTypes ? encoded : { ...encoded, typeIds: encoded.typeIds.map(() => 0) }
  }

  /**
   * Words as a token classifier reads them: each tokenised on its own, as text that is split into words already.
   * @returns also the number of each token's word, -1 for special tokens
   */
  encodeWords(words: readonly string[], maxLength?: number): EncodedText & { readonly words: readonly number[] } {
    const ids: number[] = []
    const owners: number[] = []
    words.forEach((word, index) => {
      for (const id of this.encode(this.wordsNeedSpace ? ` ${word}` : word, { addSpecialTokens: false })) {
        ids.push(id)
        owners.push(index)
      }
    })
    const around = this.singleSurroundings()
    const encoded = surround([ids], around, maxLength)
    const kept = encoded.ids.length - around.before.length - around.after.length
    return {
      ...encoded,
      words: [...around.before.map(() => -1), ...owners.slice(0, kept), ...around.after.map(() => -1)],
    }
  }

  /**
   * A text as a model with a head reads it, each token with its characters. The same tokens as `encodeTexts` gives, but that a
   * text which is too long is cut at `maxLength` tokens whatever word they belong to.
   * @throws InvalidDataError if the tokens of the text cannot be related to its characters
   */
  encodePlaced(text: string, maxLength?: number): PlacedText {
    const placed = this.pipeline.placeTokens(text)
    const around = this.singleSurroundings()
    const encoded = surround([placed.map(({ id }) => id)], around, maxLength)
    const kept = encoded.ids.length - around.before.length - around.after.length
    return { ...encoded, places: spread(around.before.length, placed.slice(0, kept), around.after.length) }
  }

  /**
   * Two texts as `encodeTexts` gives them, the tokens of the second with its characters.
   * @returns the places of the second text's tokens alone
   * @throws InvalidDataError if the tokens of the second text cannot be related to its characters
   */
  encodePlacedPair(first: string, second: string, maxLength?: number): PlacedText {
    const placed = this.pipeline.placeTokens(second)
    const ids = [this.pipeline.encode(first), placed.map(({ id }) => id)]
    const around = this.aroundPairs()
    const sizes = this.sizesOf([first, second], ids, maxLength)
    const [ahead, kept] = keptLengths(ids, around, maxLength, sizes)
    return {
      ...this.typed(surround(ids, around, maxLength, sizes)),
      places: spread(around.before.length + ahead + around.between.length, placed.slice(0, kept), around.after.length),
    }
  }

  /**
   * A question with all of its context, in stretches that overlap where the context is too long: `only_second` truncation with a
   * `stride`, as transformers' question answering reads it.
   * @param stride tokens of the context that neighbours have in common
   * @returns the places of the context's tokens alone
   * @throws InvalidDataError if the question leaves no room for more of the context than the stride
   */
  encodeStretches(question: string, context: string, maxLength: number, stride: number): PlacedText[] {
    const asked = this.pipeline.encode(question)
    const placed = this.pipeline.placeTokens(context)
    const around = this.aroundPairs()
    const ahead = around.before.length + asked.length + around.between.length
    const room = maxLength - ahead - around.after.length
    if (room <= stride && placed.length > room)
      throw new InvalidDataError(
        `the question has ${asked.length} tokens, which leaves room for ${Math.max(0, room)} of the context's ${placed.length} in ${maxLength}; shorten the question, or raise maxLength (--max-length).`,
      )
    const stretches: PlacedText[] = []
    for (let start = 0; ; start += room - stride) {
      const part = placed.slice(start, start + room)
      const encoded = this.typed(surround([asked, part.map(({ id }) => id)], around))
      stretches.push({ ...encoded, places: spread(ahead, part, around.after.length) })
      if (start + room >= placed.length) return stretches
    }
  }

  private singleSurroundings(): Surroundings {
    const token = (id: number) => ({ id, type: 0 })
    return { before: this.prefix.map(token), between: [], after: this.suffix.map(token), types: [0, 0] }
  }

  private aroundPairs(): Surroundings {
    if (this.pairSurroundings !== undefined) return this.pairSurroundings
    const { ids, types } = this.pipeline.process([[PLACE], [PLACE + 1]])
    const found = readSurroundings(
      ids.map((id, i) => ({ id, type: types[i]! })),
      [[PLACE], [PLACE + 1]],
    )
    if (found === undefined)
      throw new InvalidDataError(
        `${this.folder}/tokenizer.json: its post-processor changes the tokens of a pair of texts; such tokenizers are not supported.`,
      )
    return (this.pairSurroundings = found)
  }

  /** Text of token ids, special tokens included unless `skipSpecialTokens`. */
  decode(ids: readonly number[], options: { readonly skipSpecialTokens?: boolean } = {}): string {
    const text = this.pipeline.decode(ids, options.skipSpecialTokens ?? false)
    return this.cleansUp ? cleanUpSpaces(text) : text
  }

  /** Whether a token stands for no text but says something of it: where it begins, ends, who speaks. */
  isSpecial(id: number): boolean {
    return this.pipeline.isSpecial(id)
  }

  /** Whether a token is one that text is made of: in the vocabulary, and not added to it as special tokens and marks are. */
  isText(id: number): boolean {
    return this.pipeline.isText(id)
  }

  /**
   * What one token stands for in the middle of a text, with the space before it where it brings one. A special token is told
   * by its name, and so is one that is no whole character: `<0xE2>` or as the vocabulary has it.
   */
  tokenText(id: number): string {
    const name = this.pipeline.tokenOf(id) ?? `<${id}>`
    if (this.pipeline.isSpecial(id)) return name
    // What begins a text may lose its space; what follows itself does not.
    const once = this.pipeline.decode([id], false)
    const text = this.pipeline.decode([id, id], false).slice(once.length)
    return text === '' || text.includes('\uFFFD') ? name : text
  }

  /**
   * The bytes of UTF-8 that one token stands for in the middle of a text: of a part of a character those of the part, of a
   * special token those of its name. Tokens one after the other make the text's bytes.
   */
  tokenBytes(id: number): Uint8Array {
    const name = this.pipeline.tokenOf(id)
    const bytes = name === undefined || this.pipeline.isSpecial(id) ? undefined : this.pipeline.vocabularyBytes(name)
    return bytes ?? new TextEncoder().encode(this.tokenText(id))
  }

  /** The chat template's source in Jinja, or undefined where the model has none. */
  get chatTemplate(): string | undefined {
    return this.template?.source
  }

  /**
   * A dialogue as the text that the model's chat template makes of it. The template writes the special tokens itself:
   * encode it with `addSpecialTokens: false`.
   * @throws InvalidDataError if the model has no chat template, or the template refuses the dialogue
   */
  applyChatTemplate(
    messages: readonly Message[],
    options: { readonly addGenerationPrompt?: boolean; readonly variables?: TemplateVariables } = {},
  ): string {
    return this.chat(options.variables).render(messages, options.addGenerationPrompt ?? false, options.variables)
  }

  /**
   * A dialogue as the text of the chat template up to the end of its last message, which a model then goes on with:
   * transformers' `continue_final_message`. Encode it with `addSpecialTokens: false`.
   * @throws InvalidDataError as `applyChatTemplate`, and if the last message has no text or the template does not write it
   */
  openLastMessage(messages: readonly Message[], options: { readonly variables?: TemplateVariables } = {}): string {
    return this.chat(options.variables).renderOpen(messages, options.variables)
  }

  /** Whether the chat template mentions a name, of a variable or of a message's field; false where there is no template. */
  templateMentions(name: string, variables?: TemplateVariables): boolean {
    return this.template !== undefined && this.chat(variables).mentions(name)
  }

  /** The messages whose content the chat template does not write. */
  lostContents(messages: readonly Message[], variables?: TemplateVariables): readonly number[] {
    return this.chat(variables).lostContents(messages, variables)
  }

  /** Tokens of a dialogue; the assistant's turns are to be learned. */
  encodeMessages(messages: readonly Message[], options: DialogueOptions = {}): MaskedTokens {
    return this.mask(this.chat(options.variables).renderAssistant(messages, options))
  }

  /** Tokens of a prompt and its completion, both turns of a chat; the completion is to be learned. */
  encodeChatCompletion(prompt: readonly Message[], completion: readonly Message[], options: DialogueOptions = {}): MaskedTokens {
    return this.mask(this.chat(options.variables).renderCompletion(prompt, completion, options))
  }

  /**
   * The whole text is tokenised once, as the model will meet it, and each border of a stretch is found by tokenising
   * what stands before it: the tokens that both have in common lie before the border. A token that straddles a border
   * counts as learned. So does an end token of the model right behind a stretch that has none (GLM's turns end where
   * the next begins, with `<|user|>`): generation stops there, so the model must have learned to write it.
   */
  private mask(rendered: Rendered): MaskedTokens {
    const places = rendered.spans.flatMap(({ start, end }) => [start, end])
    const { ids, borders } = this.pipeline.encodeWithBorders(rendered.text, places)
    const learn = rendered.spans.map((_, i) => {
      const [first, last] = [borders[2 * i]!, borders[2 * i + 1]!]
      return { start: first.tokens, end: last.exact ? last.tokens : Math.min(ids.length, last.tokens + 1) }
    })
    const stretches = learn.map((span) => this.withEndToken(ids, span))
    const last = stretches.at(-1)
    const isEnd = last !== undefined && last.end > last.start && ids.slice(last.end).every((id) => this.isClosing(id))
    if (!isEnd) return { ids, learn: stretches }
    return { ids, learn: stretches, turnEnd: this.turnEnd(ids.slice(last.start, last.end)) }
  }

  private withEndToken(ids: readonly number[], { start, end }: TokenSpan): TokenSpan {
    const next = ids[end]
    const isOpen = next !== undefined && end > start && this.modelEosTokenIds.includes(next) && this.pipeline.isSpecial(next)
    return isOpen && !this.turnEnd(ids.slice(start, end)).stops ? { start, end: end + 1 } : { start, end }
  }

  private isClosing(id: number): boolean {
    return this.pipeline.isSpecial(id) || this.decode([id]).trim() === ''
  }

  private turnEnd(ids: readonly number[]): TurnEnd {
    let start = ids.length
    while (start > 0 && this.isClosing(ids[start - 1]!)) start--
    const closing = ids.slice(start)
    const token = closing.findLast((id) => this.pipeline.isSpecial(id))
    return {
      token,
      text: token === undefined ? this.decode(ids.slice(-8)) : this.decode(closing).trimEnd(),
      stops: closing.some((id) => this.modelEosTokenIds.includes(id)),
    }
  }

  private chat(variables: TemplateVariables = {}): ChatTemplate {
    if (this.toolTemplate !== undefined && Array.isArray(variables['tools'])) return this.toolTemplate
    if (this.template !== undefined) return this.template
    throw new InvalidDataError(
      `${this.folder}: the model has no chat template (chat_template in tokenizer_config.json, or chat_template.jinja), ` +
        'so rows of messages cannot be turned into text; add one, or give rows of "prompt" and "completion".',
    )
  }

  /** What the post-processor puts around a text. */
  private surroundings(config: Readonly<Record<string, unknown>>): { prefix: readonly number[]; suffix: readonly number[] } {
    const { ids } = this.pipeline.process([[PLACE]])
    const at = ids.indexOf(PLACE)
    if (at < 0 || ids.includes(PLACE, at + 1))
      throw new InvalidDataError(
        `${this.folder}/tokenizer.json: its post-processor gives a text ${at < 0 ? 'not at all' : 'twice'}; such tokenizers are not supported.`,
      )
    const { tokenizer_class: name, add_bos_token: addBos, add_eos_token: addEos } = config
    const decides = typeof name === 'string' && CLASSES_WITH_OWN_BOS.test(name)
    const chosen = (flag: unknown, id: number | undefined, found: readonly number[]): readonly number[] =>
      !decides || typeof flag !== 'boolean' ? found : flag && id !== undefined ? [id] : []
    return {
      prefix: chosen(addBos, this.bosTokenId, ids.slice(0, at)),
      suffix: chosen(addEos, this.eosTokenId, ids.slice(at + 1)),
    }
  }
}

const spread = (before: number, places: readonly PlacedToken[], after: number): PlacedText['places'] => [
  ...new Array<undefined>(before).fill(undefined),
  ...places,
  ...new Array<undefined>(after).fill(undefined),
]

/** Stands for a text where the special tokens around it are asked for: no id is negative. */
const PLACE = -2

/** Whether a tokenizer tells the texts of a pair apart; RoBERTa's does not, and says so by its processor or its inputs. */
function namesTypes({ tokenizer, config }: TokenizerFolder, tokenizerClass: TokenizerClass | undefined): boolean {
  const inputs = config['model_input_names']
  if (Array.isArray(inputs)) return inputs.includes('token_type_ids')
  if (tokenizerClass !== undefined) return tokenizerClass.types
  return !componentTypes(tokenizer['post_processor'], 'processors').includes('RobertaProcessing')
}

/**
 * The tokenizer beside a model, or undefined if the folder holds no tokenizer.json.
 * @param options.lowercase text in lower case before all else, as sentence-transformers asks for by `do_lower_case`
 * @param options.clock what `strftime_now` in chat templates tells; the system's by default
 * @throws InvalidDataError if one of its files is damaged
 */
export async function loadTokenizer(
  files: Files,
  folder: string,
  options: { readonly clock?: () => Date; readonly lowercase?: boolean } = {},
): Promise<Tokenizer | undefined> {
  const contents = await readTokenizerFolder(files, folder)
  if (contents === undefined) return undefined
  return Tokenizer.create(contents, folder, options.clock ?? (() => new Date()), options.lowercase)
}
