/** @file Reading the components of tokenizer.json: each field by its kind, each mistake by its place. */
import { InvalidDataError } from '../errors.js'
import { isObject } from '../util/json.js'
import { FixedText, Pattern, UnsupportedPattern, type Cutter } from './pattern/pattern.js'

/** A component of tokenizer.json, or a part of one. */
export class Component {
  private constructor(
    private readonly json: Readonly<Record<string, unknown>>,
    /** Where it stands, for messages: `folder/tokenizer.json: normalizer.normalizers[1]`. */
    readonly place: string,
  ) {}

  /** @throws InvalidDataError if it is no object */
  static of(value: unknown, place: string): Component {
    if (!isObject(value)) throw new InvalidDataError(`${place}: expected a JSON object, found ${describe(value)}.`)
    return new Component(value, place)
  }

  /** Refuses the file: says what is wrong here. */
  refuse(what: string): never {
    throw new InvalidDataError(`${this.place}: ${what}`)
  }

  has(key: string): boolean {
    return this.json[key] !== undefined && this.json[key] !== null
  }

  raw(key: string): unknown {
    return this.json[key]
  }

  text(key: string, otherwise?: string): string {
    return this.read(key, 'text', (value): value is string => typeof value === 'string', otherwise)
  }

  flag(key: string, otherwise?: boolean): boolean {
    return this.read(key, 'true or false', (value): value is boolean => typeof value === 'boolean', otherwise)
  }

  /** A whole number from 0 on. */
  count(key: string, otherwise?: number): number {
    return this.read(key, 'a whole number', isCount, otherwise)
  }

  /** A single character. */
  character(key: string): string {
    const text = this.text(key)
    if ([...text].length !== 1) this.refuse(`"${key}" must be one character, found ${JSON.stringify(text)}.`)
    return text
  }

  list(key: string): unknown[] {
    return this.read(key, 'a list', (value): value is unknown[] => Array.isArray(value))
  }

  part(key: string): Component {
    return Component.of(this.json[key], `${this.place}.${key}`)
  }

  parts(key: string): Component[] {
    return this.list(key).map((value, i) => Component.of(value, `${this.place}.${key}[${i}]`))
  }

  /** A pattern as `{ "String": … }` or `{ "Regex": … }`. @throws InvalidDataError naming what the pattern asks for */
  pattern(key: string): Cutter {
    const pattern = this.part(key)
    if (pattern.has('String')) return new FixedText(pattern.text('String'))
    const source = pattern.text('Regex')
    try {
      return new Pattern(source)
    } catch (cause) {
      if (!(cause instanceof UnsupportedPattern)) throw cause
      throw new InvalidDataError(
        `${pattern.place}: the pattern ${JSON.stringify(source)} has ${cause.message.replace(/,$/, '')}; write it otherwise, or tokenise the rows in Python (input_ids).`,
        { cause },
      )
    }
  }

  private read<T>(key: string, expected: string, is: (value: unknown) => value is T, otherwise?: T): T {
    const value = this.json[key]
    if ((value === undefined || value === null) && otherwise !== undefined) return otherwise
    if (is(value)) return value
    return this.refuse(`"${key}" must be ${expected}, found ${describe(value)}.`)
  }
}

export const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

const describe = (value: unknown): string => {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** Makes a component by its `type`. @throws InvalidDataError naming a type that is not known */
export function byType<T>(
  component: Component,
  role: string,
  makers: Readonly<Record<string, (component: Component) => T>>,
  type = component.text('type'),
): T {
  if (!Object.hasOwn(makers, type))
    component.refuse(
      `${role} "${type}" is not supported; expected ${Object.keys(makers).join(', ')}. Tokenise the rows in Python (input_ids), or ask for it.`,
    )
  return makers[type]!(component)
}

/** Types of a component of tokenizer.json and of those it is a sequence of. */
export function componentTypes(component: unknown, list: string): unknown[] {
  if (typeof component !== 'object' || component === null) return []
  const { type, [list]: inner } = component as Record<string, unknown>
  return [type, ...(Array.isArray(inner) ? inner.flatMap((part) => componentTypes(part, list)) : [])]
}
