/** @file `--preset`: the flags that it sets, and why, told before the run. */
import { presets, presetSettings, type NamedSetting } from '../train/presets.js'
import type { PresetName } from '../train/preset-names.js'
import type { Flags } from './flag.js'
import type { CommandContext } from './flags.js'

/**
 * The values with those of the preset for flags that neither the command line nor the config file gave. What it sets is
 * told to people, flag by flag.
 */
export function withPresetFlags<V extends Readonly<Record<string, unknown>>>(
  values: V,
  flags: Flags,
  { given, output }: Pick<CommandContext, 'given' | 'output'>,
): V {
  const name = values['preset'] as PresetName | undefined
  if (name === undefined) return values
  const options = [...given].map((flag) => [flags[flag]?.option ?? flag, values[flag]] as const)
  // An adapter that is continued has its own shape.
  const settings = presetSettings(name, Object.fromEntries(options)).filter(({ of }) => of !== 'lora' || values['adapter'] === undefined) // prettier-ignore
  const flagOf = ({ option }: NamedSetting): string =>
    Object.keys(flags).find((flag) => (flags[flag]!.option ?? flag) === option) ?? missing(option)
  output.note(`${output.color.bold(`preset ${name}`)}: ${presets[name].about}`)
  for (const setting of settings)
    output.note(`  --${flagOf(setting)}${setting.value === true ? '' : ` ${String(setting.value)}`}  ${output.color.dim(setting.why)}`) // prettier-ignore
  return { ...values, ...Object.fromEntries(settings.map((setting) => [flagOf(setting), setting.value])) }
}

function missing(option: string): never {
  throw new Error(`internal: a preset sets ${option}, which has no flag`)
}
