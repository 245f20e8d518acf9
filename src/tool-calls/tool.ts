/** @file What a tool is: a function of a name, with arguments that a JSON Schema describes. */
import { InvalidOptionError } from '../errors.js'
import { isObject } from '../util/json.js'

/** A tool as chat templates and OpenAI's API take it. */
export interface Tool {
  /** Always `function`. */
  readonly type: 'function'
  /** What is called. */
  readonly function: {
    /** Letters, digits, `_` and `-`. */
    readonly name: string
    /** What it is good for, for the model. */
    readonly description?: string | undefined
    /** JSON Schema of its arguments, an object; without it any object will do. */
    readonly parameters?: Readonly<Record<string, unknown>> | undefined
    /** Further fields, for the chat template. */
    readonly [field: string]: unknown
  }
}

/** @throws InvalidOptionError for one without a usable name, or two of the same */
export function checkTools(tools: readonly Tool[]): void {
  const names = new Set<string>()
  tools.forEach(({ type, function: called }, i) => {
    const refuse = (what: string): never => {
      throw new InvalidOptionError(`tool ${i}: ${what}`)
    }
    if (type !== 'function' || !isObject(called))
      refuse('expected {"type": "function", "function": {"name", "description", "parameters"}}')
    const { name, parameters } = called
    if (typeof name !== 'string' || !/^[\w-]{1,128}$/.test(name))
      refuse(`the name must be 1 to 128 letters, digits, _ and -, got ${JSON.stringify(name)}`)
    if (parameters !== undefined && !isObject(parameters))
      refuse(`the parameters must be a JSON Schema, an object, got ${JSON.stringify(parameters)}`)
    if (names.has(name)) refuse(`there is another one of the name "${name}"`)
    names.add(name)
  })
}
