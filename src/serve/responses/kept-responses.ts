/**
 * @file Answers kept in memory, so that requests can go on from them: clients that believe they are stored send their names in place of
 * them. The oldest go first; who shows another key finds nothing.
 */
import type { OutputItem, ResponseItem } from '../schemas/responses.js'
import type { Service } from '../service.js'

/** Answers, and characters of them in all. */
const MOST = 1000
const MOST_CHARACTERS = 2 ** 24

interface Kept {
  readonly items: readonly ResponseItem[]
  readonly output: readonly OutputItem[]
  readonly size: number
}

export class KeptResponses {
  private readonly responses = new Map<string, Kept>()
  private readonly outputs = new Map<string, OutputItem>()
  private size = 0

  /** @param holder whose it is @param items what led to the answer */
  keep(holder: string | undefined, id: string, items: readonly ResponseItem[], output: readonly OutputItem[]): void {
    const size = JSON.stringify([items, output]).length
    if (size > MOST_CHARACTERS) return
    this.responses.set(named(holder, id), { items, output, size })
    for (const item of output) this.outputs.set(named(holder, item.id), item)
    this.size += size
    while (this.responses.size > MOST || this.size > MOST_CHARACTERS) this.forget(this.responses.keys().next().value!)
  }

  private forget(key: string): void {
    const { output, size } = this.responses.get(key)!
    this.responses.delete(key)
    this.size -= size
    const owner = key.slice(0, key.indexOf(' '))
    for (const item of output) this.outputs.delete(`${owner} ${item.id}`)
  }

  /** The whole dialogue up to an answer, the answer too; undefined if it is not kept. */
  dialogue(holder: string | undefined, id: string): readonly (ResponseItem | OutputItem)[] | undefined {
    const found = this.responses.get(named(holder, id))
    return found && [...found.items, ...found.output]
  }

  /** A part of an answer. */
  item(holder: string | undefined, id: string): OutputItem | undefined {
    return this.outputs.get(named(holder, id))
  }
}

const named = (holder: string | undefined, id: string): string => `${holder ?? ''} ${id}`

const kept = new WeakMap<Service, KeptResponses>()

/** Those of a server. */
export function keptResponses(service: Service): KeptResponses {
  let found = kept.get(service)
  if (found === undefined) kept.set(service, (found = new KeptResponses()))
  return found
}
