/** @file METEOR's modules: what counts as a match, in the order in which they look, and what a match of each is worth. */

/** Where two texts agree: the same word; the same stem; a synset in common; phrases that the table says mean the same. */
export const meteorModules = ['exact', 'stem', 'synonym', 'paraphrase'] as const

/** One of METEOR's modules. */
export type MeteorModule = (typeof meteorModules)[number]

/** What a matched word counts in precision and recall (METEOR 1.5, English, task `rank`). */
export const MODULE_WEIGHTS: Readonly<Record<MeteorModule, number>> = { exact: 1, stem: 0.6, synonym: 0.8, paraphrase: 0.6 }
