/** @file The description of one flag. */
import type { OptionGroup } from '../util/option-groups.js'
import type { TextType } from '../util/option-kinds.js'

/**
 * One flag; its name is the key of the table, in kebab-case (flags of other programs keep theirs: `lora_dim`), and also its key in
 * a config file.
 */
export interface Flag {
  readonly type: TextType
  readonly help: string
  /** Where the help has it, of commands whose every flag says so. */
  readonly group?: OptionGroup
  /** The library's option whose value it is. */
  readonly option?: string
  /** Another program's short name, with its hyphen: `-nr`. */
  readonly short?: string
  /** What stands for the value in the help: `DIR`, `N`. */
  readonly value?: string
  readonly required?: true
  readonly default?: string | number | boolean
  /** A switch that is neither on nor off unless it is given: the library decides. */
  readonly open?: true
  /** Allowed texts. */
  readonly choices?: readonly string[]
  /** Which of them is meant by another program's word. */
  readonly meant?: (word: string) => string | undefined
  /** Smallest number allowed. */
  readonly min?: number
  /** Values that are planned and refused for now: all of them, those listed, or those above a number. */
  readonly notYet?: 'all' | readonly string[] | { readonly above: number }
}

export type Flags = Readonly<Record<string, Flag>>

/** A flag of a command with so many that its help has them in groups. */
export type GroupedFlag = Flag & { readonly group: OptionGroup }
