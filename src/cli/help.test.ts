/** @file `--help` on a terminal of 80 columns, and the flags of `train` in their groups. */
import { describe, expect, it } from 'vitest'
import { optionGroups } from '../util/option-groups.js'
import { commands } from './app.js'
import { commandHelp, documentation } from './help.js'
import { flagsOf } from './parse.js'

const train = commands.find(({ name }) => name === 'train')!

describe('--help', () => {
  it.each(commands.map((command) => [command.name, command] as const))('%s fits 80 columns and has every flag', (_, command) => {
    const lines = commandHelp(command).split('\n')
    expect(lines.filter((line) => line.length > 80)).toEqual([])
    for (const [flag, { short }] of Object.entries(flagsOf(command))) {
      const spelled = `  ${short === undefined ? '' : `${short}, `}--${flag}`
      expect(
        lines.filter((line) => line.startsWith(`${spelled} `) || line === spelled),
        flag,
      ).toHaveLength(1)
    }
  })

  it('keeps choices and examples whole over their lines', () => {
    const text = commandHelp(train)
    const { task } = flagsOf(train)
    expect(text.replace(/\|\n +/g, '|')).toContain(`  --task ${task!.choices!.join('|')}\n`)
    for (const example of train.examples) expect(text.replace(/ \\\n +/g, ' ')).toContain(`  ${example}`)
  })

  it('has the flags of train under the headings of their groups, and in docs/cli.md too', () => {
    const heading = (line: string): string | undefined => /^([A-Z].*):$/.exec(line)?.[1]
    const lines = commandHelp(train).split('\n')
    expect(lines.flatMap((line) => heading(line) ?? [])).toEqual([...Object.values(optionGroups), 'Examples'])
    const found = new Map<string, string>()
    let current = ''
    for (const line of lines) {
      current = heading(line) ?? current
      const flag = /^ {2}--([\w-]+)/.exec(line)?.[1]
      if (flag !== undefined) found.set(flag, current)
    }
    for (const [name, { group }] of Object.entries(flagsOf(train))) expect(found.get(name), name).toBe(optionGroups[group!])
    const document = documentation([train])
    const headings = [...document.matchAll(/^### (.*)$/gm)].map(([, text]) => text)
    expect(headings).toEqual(Object.values(optionGroups))
  })
})
