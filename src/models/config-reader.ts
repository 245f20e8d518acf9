/** @file Typed access to a Hugging Face `config.json`, with errors that name the key. */
import { InvalidModelError } from '../errors.js'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

export class ConfigReader {
  constructor(
    readonly json: Readonly<Record<string, Json>>,
    /** Where the config came from, for messages. */
    readonly source: string,
  ) {}

  /** The same config with values for absent keys: those of transformers' class, which published configs may leave out. */
  withDefaults(defaults: Readonly<Record<string, Json>>): ConfigReader {
    return new ConfigReader({ ...defaults, ...this.json }, this.source)
  }

  has(key: string): boolean {
    return this.json[key] !== undefined && this.json[key] !== null
  }

  private get(key: string): Json | undefined {
    const value = this.json[key]
    return value === null ? undefined : value
  }

  private wrong(key: string, expected: string): InvalidModelError {
    const found = this.json[key]
    return new InvalidModelError(
      found === undefined
        ? `${this.source}: key "${key}" is missing (expected ${expected})`
        : `${this.source}: "${key}" must be ${expected}, got ${JSON.stringify(found)}`,
    )
  }

  integer(key: string, fallback?: number): number {
    const value = this.get(key) ?? fallback
    if (typeof value !== 'number' || !Number.isInteger(value)) throw this.wrong(key, 'an integer')
    return value
  }

  number(key: string, fallback?: number): number {
    const value = this.get(key) ?? fallback
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.wrong(key, 'a number')
    return value
  }

  /** A share of what is dropped: at least 0 and below 1. */
  probability(key: string, fallback?: number): number {
    const value = this.number(key, fallback)
    if (value < 0 || value >= 1) throw this.wrong(key, 'a probability in [0, 1)')
    return value
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.get(key) ?? fallback
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false')
    return value
  }

  string(key: string, fallback?: string): string {
    const value = this.get(key) ?? fallback
    if (typeof value !== 'string') throw this.wrong(key, 'a string')
    return value
  }

  /** An array of strings, or undefined if absent. */
  strings(key: string): string[] | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    if (!Array.isArray(value) || !value.every((v) => typeof v === 'string')) throw this.wrong(key, 'a list of strings')
    return value as string[]
  }

  /** An array of numbers, or undefined if absent. */
  numbers(key: string): number[] | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    if (!Array.isArray(value) || !value.every((v) => typeof v === 'number')) throw this.wrong(key, 'a list of numbers')
    return value as number[]
  }

  /** A nested object as a reader of its own, or undefined if absent. */
  object(key: string): ConfigReader | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.wrong(key, 'an object')
    return new ConfigReader(value, `${this.source}: ${key}`)
  }

  /** Refuses a key whose value would change the maths in a way that is not built. */
  expect<T extends Json>(key: string, expected: T, absentIs: T = expected): void {
    const value = this.get(key) ?? absentIs
    if (JSON.stringify(value) !== JSON.stringify(expected))
      throw new InvalidModelError(
        `${this.source}: "${key}": ${JSON.stringify(value)} is not supported (only ${JSON.stringify(expected)})`,
      )
  }
}
