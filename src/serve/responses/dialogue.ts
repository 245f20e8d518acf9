/** @file The input of a response as the messages of a chat. */
import { invalidRequest } from '../http/api-error.js'
import type { Exchange } from '../http/route.js'
import type { ChatMessage } from '../schemas/chat.js'
import type { OutputItem, ResponseItem, ResponsesRequest } from '../schemas/responses.js'
import { keptResponses } from './kept-responses.js'

type Item = ResponseItem | OutputItem

/**
 * The items of a request, those that it only names in their places.
 * @throws ApiError 400 for names of what is not kept
 */
export function itemsOf({ service, holder, body }: Exchange<ResponsesRequest>): readonly Item[] {
  const kept = keptResponses(service)
  const { input, previous_response_id: previous } = body
  const before = previous === undefined ? [] : kept.dialogue(holder, previous)
  const HOW = 'this server keeps the last answers in memory alone; send the whole input, with `store: false`'
  if (before === undefined)
    throw invalidRequest(`Previous response with id '${previous}' not found: ${HOW}.`, 'previous_response_id', 'previous_response_not_found') // prettier-ignore
  if (typeof input === 'string') return [...before, { role: 'user', content: input }]
  return [
    ...before,
    ...input.map((item, i): Item => {
      if (item.type !== 'item_reference') return item as ResponseItem
      const found = kept.item(holder, (item as { id: string }).id)
      if (found === undefined)
        throw invalidRequest(`Item with id '${(item as { id: string }).id}' not found: ${HOW}.`, `input[${i}]`)
      return found
    }),
  ]
}

/** Items as messages: calls belong to the turn before them. */
export function messagesOf(items: readonly Item[], instructions: string | undefined): ChatMessage[] {
  const messages: ChatMessage[] = instructions === undefined ? [] : [{ role: 'system', content: instructions }]
  for (const item of items) {
    if (item.type === 'function_call') {
      const call = { id: item.call_id, type: 'function', function: { name: item.name, arguments: item.arguments } }
      const last = messages.at(-1)
      if (last?.role === 'assistant')
        messages[messages.length - 1] = { ...last, tool_calls: [...((last['tool_calls'] ?? []) as object[]), call] }
      else messages.push({ role: 'assistant', content: '', tool_calls: [call] })
    } else if (item.type === 'function_call_output')
      messages.push({ role: 'tool', tool_call_id: item.call_id as string, content: textOf(item.output as Content) })
    else messages.push({ role: item.role as string, content: textOf(item.content as Content) })
  }
  return messages
}

type Content = string | readonly { readonly text: string }[]

const textOf = (content: Content): string => (typeof content === 'string' ? content : content.map(({ text }) => text).join('\n'))
