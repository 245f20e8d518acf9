/** @file Commands whose names have several words, and what is said of words that name none. */
import { describe, expect, it } from 'vitest'
import { commandTyped, findCommand, membersOf } from './find-command.js'
import { defineCommand } from './flags.js'
import { groupHelp } from './help.js'
import { UsageError } from './usage-error.js'

const command = (name: string) =>
  defineCommand({
    name,
    summary: `Does ${name}.`,
    description: '',
    flags: {},
    examples: [],
    prints: '',
    run: () => Promise.resolve(0),
  })
const commands = ['train', 'paper nlg train', 'paper nlg beam', 'paper table'].map(command)

describe('the name of a command', () => {
  it('has one word or several; what follows is its own', () => {
    expect(findCommand(commands, ['train', 'paper'])).toMatchObject({ command: { name: 'train' }, rest: ['paper'] })
    expect(findCommand(commands, ['paper', 'nlg', 'train', '--lr', '1'])).toMatchObject({
      command: { name: 'paper nlg train' },
      rest: ['--lr', '1'],
    })
    expect(commandTyped(commands, ['paper', 'table', '--x'])?.name).toBe('paper table')
    expect(commandTyped(commands, ['paper'])).toBeUndefined()
  })

  it('may be that of a group alone, which has members', () => {
    expect(findCommand(commands, ['paper'])).toMatchObject({ group: 'paper', rest: [] })
    expect(findCommand(commands, ['paper', 'nlg', '--help'])).toMatchObject({ group: 'paper nlg', rest: ['--help'] })
    expect(membersOf(commands).map(({ name }) => name)).toEqual(['train', 'paper'])
    expect(membersOf(commands, 'paper').map(({ name }) => name)).toEqual(['paper nlg', 'paper table'])
    expect(groupHelp(commands, 'paper nlg')).toContain('  paper nlg train Does paper nlg train.\n  paper nlg beam')
  })

  it('is refused where there is none of it, with what there is', () => {
    expect(() => findCommand(commands, ['paper', 'nlg', 'bean'])).toThrow(
      new UsageError('lowrank paper nlg: unknown command "bean". Did you mean "beam"? Commands: train, beam.'),
    )
    expect(() => findCommand(commands, ['trian'])).toThrow(
      /^unknown command "trian". Did you mean "train"\? Commands: train, paper\.$/,
    )
  })
})
