/** @file The groups that options stand in, wherever many of them are listed: help, documentation, config files. */

/** Each group and its heading, in the order of lists. To add one: a line here, and the rows that name it. */
export const optionGroups = {
  source: 'Model and data',
  task: 'Task and loss',
  adapter: 'Adapter',
  learning: 'Learning',
  evaluation: 'Evaluation',
  output: 'Output and checkpoints',
  tracking: 'Tracking',
  hardware: 'Memory and hardware',
  command: 'The command itself',
} as const

export type OptionGroup = keyof typeof optionGroups

/** Things by their groups, in the order of the groups and within each in their own; groups of nothing are left out. */
export function inGroups<T>(things: readonly T[], groupOf: (thing: T) => OptionGroup): [heading: string, things: T[]][] {
  const groups = Object.keys(optionGroups) as OptionGroup[]
  return groups.flatMap((group) => {
    const own = things.filter((thing) => groupOf(thing) === group)
    return own.length === 0 ? [] : [[optionGroups[group], own]]
  })
}
