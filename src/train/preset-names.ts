/** @file The presets of a run, by name. */

/** Settings that go together: for a first look, for the best result, for long rows, for a small machine. */
export const presetNames = ['quick', 'quality', 'long-context', 'small-memory'] as const

/** The name of a preset. */
export type PresetName = (typeof presetNames)[number]
