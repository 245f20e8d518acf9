/** @file Which command the first words of a command line name: `train`, or of a group `paper nlg beam`. */
import type { Command } from './flags.js'
import { didYouMean, UsageError } from './usage-error.js'

/** What several commands have in common, by the words with which their names begin. */
export const commandGroups: Readonly<Record<string, string>> = {
  paper: 'Run the experiments of the LoRA paper stage by stage, and show their results beside the published ones.',
  'paper nlg': "Its text generation: GPT-2 on E2E, WebNLG and DART, stage by stage with the original scripts' flags and files.",
  'paper nlg score': 'Score texts as the scorers do that the paper used.',
  'paper nlu': 'Its text understanding: RoBERTa and DeBERTa on GLUE.',
}

/** What the first words name. */
export type Found =
  | { readonly command: Command; readonly rest: readonly string[] }
  | { readonly group: string; readonly members: readonly Command[]; readonly rest: readonly string[] }

/** The commands and groups that are one word longer than a group; those of a word where no group is named. */
export function membersOf(commands: readonly Command[], group?: string): readonly Pick<Command, 'name' | 'summary'>[] {
  const prefix = group === undefined ? '' : `${group} `
  const members = new Map<string, Pick<Command, 'name' | 'summary'>>()
  for (const { name, summary } of commands) {
    if (!name.startsWith(prefix)) continue
    const [word, ...more] = name.slice(prefix.length).split(' ')
    const own = `${prefix}${word}`
    members.set(own, more.length === 0 ? { name, summary } : { name: own, summary: commandGroups[own]! })
  }
  return [...members.values()]
}

/**
 * @param words a command line, from the name of the command on
 * @throws UsageError where the first words name neither a command nor a group
 */
export function findCommand(commands: readonly Command[], words: readonly string[]): Found {
  let group: string | undefined
  for (let count = 1; ; count++) {
    const rest = words.slice(count)
    const name = words.slice(0, count).join(' ')
    const command = commands.find((each) => each.name === name)
    if (command !== undefined) return { command, rest }
    const members = commands.filter((each) => each.name.startsWith(`${name} `))
    if (members.length === 0) throw unknownCommand(commands, group, words[count - 1]!)
    if (rest[0] === undefined || rest[0].startsWith('-')) return { group: name, members, rest }
    group = name
  }
}

/** The command that was typed, as far as it can be told, for messages. */
export function commandTyped(commands: readonly Command[], args: readonly string[]): Command | undefined {
  return commands.find(({ name }) => name.split(' ').every((word, i) => word === args[i]))
}

function unknownCommand(commands: readonly Command[], group: string | undefined, word: string): UsageError {
  const known = membersOf(commands, group).map(({ name }) => (group === undefined ? name : name.slice(group.length + 1)))
  const where = group === undefined ? '' : `lowrank ${group}: `
  return new UsageError(`${where}unknown command "${word}".${didYouMean(word, known)} Commands: ${known.join(', ')}.`)
}
