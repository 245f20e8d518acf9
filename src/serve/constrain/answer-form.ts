/** @file What an answer must be or may hold: text, JSON, calls of tools. */
import {
  InvalidDataError,
  InvalidOptionError,
  jsonObjectConstraint,
  jsonSchemaConstraint,
  ToolCalls,
  type Constraint,
  type GenerateEvent,
  type TemplateVariables,
  type Tool,
  type ToolCall,
  type ToolCallEvent,
} from '../../public.js'
import { invalidRequest, withoutPlaces } from '../http/api-error.js'
import type { ChatMessage, ChatRequest, ChatTool } from '../schemas/chat.js'
import type { Service } from '../service.js'
import { neededTokenizer } from '../text/needed.js'
import { keptConstraint } from './constraints.js'

/** What of a request says so. */
export type FormRequest = Pick<ChatRequest, 'messages' | 'tools' | 'tool_choice' | 'parallel_tool_calls' | 'response_format'>

/** Reads an answer as it comes. */
export interface AnswerReader {
  /** What belongs to no call, so far. */
  readonly text: string
  readonly calls: readonly ToolCall[]
  push(event: Pick<GenerateEvent, 'id' | 'text'>): readonly ToolCallEvent[]
  finish(): readonly ToolCallEvent[]
}

/** The form of an answer. */
export interface AnswerForm {
  /** The dialogue, with earlier calls as the chat template takes them. */
  readonly messages: readonly ChatMessage[]
  /** Variables of the chat template. */
  readonly variables: TemplateVariables
  /** As an option of the text. */
  readonly options: { readonly constraint?: Constraint }
  /** For each text one. */
  reader(): AnswerReader
}

class PlainReader implements AnswerReader {
  text = ''
  readonly calls: readonly ToolCall[] = []

  push({ text }: Pick<GenerateEvent, 'text'>): readonly ToolCallEvent[] {
    this.text += text
    return text === '' ? [] : [{ type: 'text', text }]
  }

  finish(): readonly ToolCallEvent[] {
    return []
  }
}

/**
 * @throws ApiError 400 for tools that the model cannot call, schemas that cannot be kept, and contradictions
 */
export async function answerForm(service: Service, request: FormRequest): Promise<AnswerForm> {
  const { messages, tool_choice: choice = 'auto', response_format: format } = request
  const tools = choice === 'none' ? [] : (request.tools ?? []).map(toolOf)
  if (tools.length === 0 && choice !== 'auto' && choice !== 'none')
    throw invalidRequest('`tool_choice` asks for a call, but there are no `tools`.', 'tool_choice')
  const isJson = format !== undefined && format.type !== 'text'
  if (isJson && tools.length > 0)
    throw invalidRequest(
      '`response_format` and `tools` cannot both be kept: an answer that must be JSON calls no tool. Leave one out, or say `tool_choice: "none"`.',
      'response_format',
    )
  const hasCalls = messages.some((message) => message.role === 'tool' || Array.isArray(message['tool_calls']))
  const calls = tools.length > 0 || hasCalls ? await ToolCalls.of(service.model).catch(asParam(service, 'tools')) : undefined
  const dialogue = calls === undefined ? messages : withCalls(service, calls, messages)
  if (calls === undefined || tools.length === 0)
    return { messages: dialogue, variables: {}, options: isJson ? { constraint: jsonForm(service, format) } : {}, reader: () => new PlainReader() } // prettier-ignore
  if (choice === 'auto' && request.parallel_tool_calls === false && calls.parallel)
    throw invalidRequest(
      '`parallel_tool_calls: false` is kept where a call is asked for; give `tool_choice` "required" or a function.',
      'parallel_tool_calls',
    )
  // Tools that are no tools are told before anything is written.
  refusing(service, 'tools', () => calls.reader(tools))
  return {
    messages: dialogue,
    variables: { tools },
    options: choice === 'auto' ? {} : { constraint: forcedCall(service, calls, tools, request) },
    reader: () => calls.reader(tools),
  }
}

/** Messages come back as they went in, but for their calls. */
const withCalls = (service: Service, calls: ToolCalls, messages: readonly ChatMessage[]): readonly ChatMessage[] =>
  refusing(service, 'messages', () => calls.messages(messages as Parameters<ToolCalls['messages']>[0])) as readonly ChatMessage[]

/** A tool as chat templates take it: what is null is not there. */
const toolOf = ({ type, function: called }: ChatTool): Tool => ({
  type,
  function: Object.fromEntries(Object.entries(called).filter(([, value]) => value !== null)) as unknown as Tool['function'],
})

function jsonForm(service: Service, format: NonNullable<FormRequest['response_format']>): Constraint {
  const tokenizer = neededTokenizer(service, 'response_format')
  return refusing(service, 'response_format', () =>
    keptConstraint(service, format, () =>
      format.type === 'json_schema'
        ? jsonSchemaConstraint(tokenizer, format.json_schema.schema)
        : jsonObjectConstraint(tokenizer),
    ),
  )
}

function forcedCall(
  service: Service,
  calls: ToolCalls,
  tools: readonly Tool[],
  { tool_choice: choice, parallel_tool_calls: parallel = true }: FormRequest,
): Constraint {
  const wanted = { parallel, ...(typeof choice === 'object' && { name: choice.function.name }) }
  const param = typeof choice === 'object' && tools.every((tool) => tool.function.name !== wanted.name) ? 'tool_choice' : 'tools'
  return refusing(service, param, () => keptConstraint(service, [tools, wanted], () => calls.constraint(tools, wanted)))
}

/** Names the field of the request that an error of the library is about. */
const asParam =
  (service: Service, param: string) =>
  (error: unknown): never => {
    if (error instanceof InvalidOptionError || error instanceof InvalidDataError)
      throw invalidRequest(`\`${param}\`: ${withoutPlaces(error.message, service)}`, param)
    throw error
  }

function refusing<T>(service: Service, param: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    return asParam(service, param)(error)
  }
}
