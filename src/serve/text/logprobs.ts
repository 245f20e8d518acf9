/** @file Log probabilities of tokens, as chats and as plain completions tell them. */
import type { LikelyToken, TokenLogprob, Tokenizer } from '../../public.js'
import type { ChatTokenLogprob } from '../schemas/chat.js'

const view = (tokenizer: Tokenizer, { id, logprob }: LikelyToken): Omit<ChatTokenLogprob, 'top_logprobs'> => ({
  token: tokenizer.tokenText(id),
  logprob,
  bytes: [...tokenizer.tokenBytes(id)],
})

/** A token of a chat. */
export const chatLogprob = (tokenizer: Tokenizer, found: TokenLogprob): ChatTokenLogprob => ({
  ...view(tokenizer, found),
  top_logprobs: found.top.map((each) => view(tokenizer, each)),
})

/** Tokens of a completion, in columns. */
export interface CompletionLogprobs {
  readonly tokens: string[]
  readonly token_logprobs: (number | null)[]
  readonly top_logprobs: (Record<string, number> | null)[]
  /** Where each begins in the text, in characters. */
  readonly text_offset: number[]
}

/** Makes them, stretch by stretch from the beginning of a text. */
export class CompletionLogprobColumns {
  private readonly decoder = new TextDecoder()
  private offset: number

  /** @param offset of the first token; -1 where the first brings a space that the text does not begin with */
  constructor(
    private readonly tokenizer: Tokenizer,
    offset = 0,
  ) {
    this.offset = offset
  }

  /** The next stretch. @param found of each token, null of one of which nothing is known */
  next(ids: readonly number[], found: readonly (TokenLogprob | null)[]): CompletionLogprobs {
    const { tokenizer } = this
    return {
      tokens: ids.map((id) => tokenizer.tokenText(id)),
      token_logprobs: found.map((each) => each?.logprob ?? null),
      top_logprobs: found.map((each) => each && likeliest(tokenizer, each)),
      text_offset: ids.map((id) => this.place(id)),
    }
  }

  private place(id: number): number {
    const start = Math.max(0, this.offset)
    // Special tokens are no part of a text. A character whose bytes are shared out is counted with the last of them.
    if (!this.tokenizer.isSpecial(id))
      this.offset += [...this.decoder.decode(this.tokenizer.tokenBytes(id), { stream: true })].length
    return start
  }
}

/** By their texts; of two with the same text the likelier. The token itself is always among them. */
function likeliest(tokenizer: Tokenizer, found: TokenLogprob): Record<string, number> {
  const all = new Map<string, number>()
  for (const { id, logprob } of [...found.top, found])
    if (!all.has(tokenizer.tokenText(id))) all.set(tokenizer.tokenText(id), logprob)
  return Object.fromEntries(all)
}
