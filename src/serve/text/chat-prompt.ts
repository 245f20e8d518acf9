/** @file From the messages of a chat to tokens, by the model's chat template. */
import type { Message, TemplateVariables, Tokenizer } from '../../public.js'
import { invalidRequest } from '../http/api-error.js'
import type { ChatMessage, ChatRequest } from '../schemas/chat.js'
import type { Service } from '../service.js'
import { checkLength, neededTokenizer } from './needed.js'
import { given } from './text-options.js'

/** What of a request decides how its messages are laid out. */
export type TemplateRequest = Pick<
  ChatRequest,
  'messages' | 'chat_template_kwargs' | 'add_generation_prompt' | 'continue_final_message' | 'reasoning_effort' | 'documents'
>

/** What the template is given by the server itself. */
const RESERVED = [
  'messages',
  'add_generation_prompt',
  'continue_final_message',
  'tokenize',
  'tools',
  'documents',
  'chat_template',
]

/**
 * The dialogue as text.
 * @param more variables of the template, such as `tools`
 * @throws ApiError 400 for what the template cannot be given; InvalidDataError for what it refuses itself
 */
export function chatText(service: Service, request: TemplateRequest, more: TemplateVariables = {}): string {
  const tokenizer = neededTokenizer(service, 'messages')
  if (!tokenizer.hasChatTemplate)
    throw invalidRequest(
      `${service.modelName} has no chat template, so it answers no \`messages\`; send a text to /v1/completions.`,
      'messages',
    )
  const { add_generation_prompt: opens = true, continue_final_message: goesOn = false } = request
  if (goesOn && request.add_generation_prompt === true)
    throw invalidRequest(
      '`continue_final_message` goes on with the last message and `add_generation_prompt` begins another; give one of them.',
      'continue_final_message',
    )
  const messages = request.messages.map((message) => laidOut(message, tokenizer))
  const variables = { ...variablesOf(request, tokenizer), ...more }
  const text = goesOn
    ? tokenizer.openLastMessage(messages, { variables })
    : tokenizer.applyChatTemplate(messages, { addGenerationPrompt: opens, variables })
  // An assistant's turn may be a call, and its template may leave out what was thought.
  const lost = tokenizer.lostContents(messages, variables).find((i) => messages[i]!.role !== 'assistant')
  if (lost !== undefined)
    throw invalidRequest(
      `\`messages[${lost}]\`: the model's chat template does not write what a message of the role ${messages[lost]!.role} says.`,
      `messages[${lost}]`,
    )
  return text
}

/** The same as tokens. The template writes the special tokens itself. */
export function chatPrompt(service: Service, request: TemplateRequest, more?: TemplateVariables): readonly number[] {
  const text = chatText(service, request, more)
  checkLength(service, text, 'messages')
  return neededTokenizer(service, 'messages').encode(text, { addSpecialTokens: false })
}

function variablesOf(request: TemplateRequest, tokenizer: Tokenizer): TemplateVariables {
  const { chat_template_kwargs: variables = {}, reasoning_effort: effort, documents } = request
  const reserved = Object.keys(variables).find((name) => RESERVED.includes(name))
  if (reserved !== undefined)
    throw invalidRequest(
      `\`chat_template_kwargs.${reserved}\` is no variable of a request; it has a field of its own or is the server's.`,
      'chat_template_kwargs',
    )
  const own = given({ reasoning_effort: effort, documents })
  const unread = Object.keys(own).find((name) => !tokenizer.templateMentions(name))
  if (unread !== undefined) throw invalidRequest(`\`${unread}\` is not known to the model's chat template.`, unread)
  return { ...variables, ...own }
}

/** A message as templates know it: texts in one piece, and OpenAI's newer name of the system under the one that they have. */
function laidOut({ content, role, ...more }: ChatMessage, tokenizer: Tokenizer): Message {
  const text = Array.isArray(content) ? content.map((part) => part.text).join('\n') : content
  const known = role === 'developer' && !tokenizer.templateMentions('developer') ? 'system' : role
  return { ...more, role: known, ...(text !== undefined && { content: text }) }
}
