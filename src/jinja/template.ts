/** @file A template: parsed once, rendered as often as wanted. */
import { Activation } from './activation.js'
import { valueAt } from './convert.js'
import { TemplateError } from './errors.js'
import { Executor } from './execute.js'
import { globals } from './globals.js'
import { MARKS, Output, withoutMarks, type Stretch, type Visit } from './output.js'
import { parseTemplate } from './parse.js'
import { resolveNames, type ResolvedTemplate } from './resolve.js'
import { TemplateRuntime } from './runtime.js'
import { isList, type Value } from './values.js'

/** A rendering and the stretches of it that stand in `{% generation %}`. */
export interface RenderedTemplate {
  readonly text: string
  /** In UTF-16 units, in order; of nested ones the outermost. */
  readonly spans: readonly Stretch[]
}

/** A rendering, and what loops over a list wrote for each of its items. */
export interface TracedTemplate {
  readonly text: string
  /** In UTF-16 units, in the order in which they ended: a visit within another comes before it. */
  readonly visits: readonly Visit[]
  /** The text in the pieces in which it was written. */
  readonly pieces: readonly string[]
}

/**
 * A template in the environment that transformers gives to chat templates: Jinja 3.1's immutable sandbox with trimmed blocks,
 * stripped lines, loop controls, `{% generation %}`, and its own `tojson`, `raise_exception` and `strftime_now`.
 */
export class JinjaTemplate {
  private readonly resolved: ResolvedTemplate

  /** @throws TemplateError with the line of what cannot be read, or what is not supported */
  constructor(source: string) {
    this.resolved = guarded(() => resolveNames(parseTemplate(source)))
  }

  /** Whether it says itself what is the assistant's. */
  get hasGenerations(): boolean {
    return this.resolved.hasGenerations
  }

  /**
   * @param variables JSON data by name
   * @param strftime what `strftime_now` gives for a format
   * @throws TemplateError if Python would raise one, if it would print a memory address, or if it takes too much
   */
  render(variables: Readonly<Record<string, unknown>>, strftime: (format: string) => string): string {
    return this.run(variables, strftime, false).text()
  }

  /** As `render`, with the stretches in `{% generation %}`. @throws TemplateError also if such a stretch is changed after it was written */
  renderWithGenerations(variables: Readonly<Record<string, unknown>>, strftime: (format: string) => string): RenderedTemplate {
    const out = this.run(variables, strftime, true)
    const marked = out.text()
    if (marked.search(MARKS) < 0) return { text: marked, spans: out.stretches }
    // Marks travelled through what collects text; if they changed anything there, the plain rendering shows it.
    const plain = this.render(variables, strftime)
    if (plain.search(MARKS) >= 0) throw new TemplateError('the text holds a Unicode noncharacter (U+FDD0 or U+FDD1); remove it')
    const { text, stretches } = withoutMarks(marked, out.stretches)
    if (text !== plain)
      throw new TemplateError(
        'the text inside the generation tags is changed after them, so their place cannot be told; move the tags to the outside',
      )
    return { text, spans: stretches }
  }

  /**
   * As `render`, with what loops wrote while they were at an item of a list: the turns of a dialogue, wherever the template
   * loops over it, or over a part of it. What macros and blocks collect is not looked into.
   * @param list name of the variable that holds the list
   */
  renderWithVisits(
    variables: Readonly<Record<string, unknown>>,
    strftime: (format: string) => string,
    list: string,
  ): TracedTemplate {
    const out = this.run(variables, strftime, false, list)
    return { text: out.text(), visits: out.visits, pieces: out.parts }
  }

  private run(
    variables: Readonly<Record<string, unknown>>,
    strftime: (format: string) => string,
    notes: boolean,
    list?: string,
  ): Output {
    return guarded(() => {
      const runtime = new TemplateRuntime(strftime)
      const context = new Map<string, Value>(globals)
      for (const [name, data] of Object.entries(variables))
        if (data !== undefined)
          context.set(
            name,
            valueAt(variables, name, data, () => name),
          )
      const scope = new Activation(context, 0, undefined)
      const out = new Output(runtime.meter, true)
      scope.enter(this.resolved.scope)
      const items = list === undefined ? undefined : context.get(list)
      const watched = new Map((isList(items ?? null) ? (items as readonly Value[]) : []).map((item, index) => [item, index]))
      new Executor(runtime, notes, watched).run(this.resolved.body, scope, out)
      return out
    })
  }
}

/** The limits of JavaScript itself, should ours ever be too wide, as errors of ours. */
function guarded<T>(run: () => T): T {
  try {
    return run()
  } catch (cause) {
    if (cause instanceof RangeError) throw new TemplateError(`it takes too much (${cause.message})`, { cause })
    throw cause
  }
}
