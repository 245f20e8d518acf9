/** @file Texts to tokens and back: /tokenize, /detokenize, /apply-template, as llama.cpp and vLLM have them. */
import type { Tokenizer } from '../../public.js'
import { defineRoute } from '../http/route.js'
import {
  applyTemplateAnswer,
  applyTemplateRequest,
  detokenizeAnswer,
  detokenizeRequest,
  tokenizeAnswer,
  tokenizeRequest,
  type TokenizeRequest,
} from '../schemas/models.js'
import type { Service } from '../service.js'
import { chatText } from '../text/chat-prompt.js'
import { checkLength, checkTokens, neededTokenizer } from '../text/needed.js'

export const tokenize = defineRoute({
  method: 'post',
  path: '/tokenize',
  summary: 'A text or a dialogue as token ids.',
  body: tokenizeRequest,
  answer: { json: tokenizeAnswer },
  handle({ service, body }) {
    const tokenizer = neededTokenizer(service, 'content')
    const ids = tokensOf(service, tokenizer, body)
    return Response.json({
      tokens: body.with_pieces === true ? ids.map((id) => ({ id, piece: pieceOf(tokenizer, id) })) : ids,
      count: ids.length,
      max_model_len: service.model.maxPositions,
      token_strs: body.return_token_strs === true ? ids.map((id) => tokenizer.tokenText(id)) : null,
    })
  },
})

function tokensOf(service: Service, tokenizer: Tokenizer, body: TokenizeRequest): readonly number[] {
  const encode = (text: string, special: boolean): readonly number[] => {
    checkLength(service, text, 'content')
    return special ? tokenizer.encodePrompt(text) : tokenizer.encode(text, { addSpecialTokens: false })
  }
  if (body.messages !== undefined)
    return encode(chatText(service, { ...body, messages: body.messages }), body.add_special_tokens ?? false)
  if (body.prompt !== undefined) return encode(body.prompt, body.add_special_tokens ?? true)
  return encode(body.content!, body.add_special ?? false)
}

/** A text, or the bytes of what is none. */
function pieceOf(tokenizer: Tokenizer, id: number): string | number[] {
  const bytes = tokenizer.tokenBytes(id)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return [...bytes]
  }
}

export const detokenize = defineRoute({
  method: 'post',
  path: '/detokenize',
  summary: 'Token ids as text.',
  body: detokenizeRequest,
  answer: { json: detokenizeAnswer },
  handle({ service, body }) {
    const tokenizer = neededTokenizer(service, 'tokens')
    checkTokens(service, body.tokens, 'tokens')
    const content = tokenizer.decode(body.tokens)
    return Response.json({ content, prompt: content })
  },
})

export const applyTemplate = defineRoute({
  method: 'post',
  path: '/apply-template',
  summary: 'A dialogue as the text that the chat template makes of it.',
  body: applyTemplateRequest,
  answer: { json: applyTemplateAnswer },
  handle: ({ service, body }) => Response.json({ prompt: chatText(service, body) }),
})
