/** @file `--preset`: the flags that it sets, and why, told before the run. */
import { presets, presetSettings, type NamedSetting, type PresetModel } from '../train/presets.js'
import type { PresetName } from '../train/preset-names.js'
import type { Flags } from './flag.js'
import type { CommandContext } from './flags.js'

type Values = Readonly<Record<string, unknown>>

/** What flags give. */
type Given = Pick<CommandContext, 'given' | 'output'>

/** The settings of a preset for flags that neither the command line nor the config file gave. */
function settingsFor(values: Values, flags: Flags, { given }: Given, ...known: [] | [model: PresetModel]): NamedSetting[] {
  const name = values['preset'] as PresetName | undefined
  if (name === undefined) return []
  const options = [...given].map((flag) => [flags[flag]?.option ?? flag, values[flag]] as const)
  return presetSettings(name, Object.fromEntries(options), ...known)
}

function withSettings<V extends Values>(values: V, flags: Flags, settings: readonly NamedSetting[]): V {
  return { ...values, ...Object.fromEntries(settings.map((setting) => [flagOf(setting, flags), setting.value])) }
}

const flagOf = ({ option }: NamedSetting, flags: Flags): string =>
  Object.keys(flags).find((flag) => (flags[flag]!.option ?? flag) === option) ?? missing(option)

/** The values with those of the preset that say how the model is opened. */
export const withPresetLoading = <V extends Values>(values: V, flags: Flags, given: Given): V =>
  withSettings(values, flags, settingsFor(values, flags, given).filter(({ of }) => of === 'load')) // prettier-ignore

/**
 * The values with all of the preset, once the model is open. What it sets is told to people, flag by flag.
 * @param evaluates whether there are rows to evaluate on beside those of data
 */
export function withPresetFlags<V extends Values>(
  values: V,
  flags: Flags,
  context: Given,
  { model, evaluates }: { readonly model: PresetModel; readonly evaluates: boolean },
): V {
  const name = values['preset'] as PresetName | undefined
  if (name === undefined) return values
  const { output, given } = context
  const beside = evaluates && !given.has('eval-data')
  const asked = beside ? { ...values, 'eval-data': values['data'] } : values
  const known = beside ? new Set([...given, 'eval-data']) : given
  // An adapter that is continued has its own shape.
  const settings = settingsFor(asked, flags, { given: known, output }, model).filter(({ of }) => of !== 'lora' || values['adapter'] === undefined) // prettier-ignore
  output.note(`${output.color.bold(`preset ${name}`)}: ${presets[name].about}`)
  for (const setting of settings)
    output.note(`  --${flagOf(setting, flags)}${setting.value === true ? '' : ` ${String(setting.value)}`}  ${output.color.dim(setting.why)}`) // prettier-ignore
  return withSettings(values, flags, settings)
}

function missing(option: string): never {
  throw new Error(`internal: a preset sets ${option}, which has no flag`)
}
