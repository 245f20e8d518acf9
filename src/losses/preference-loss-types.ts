/** @file The losses of DPO by name. */

/**
 * Of the difference δ of the log-ratios, with β:
 * - `sigmoid`: −(1 − ε)·log σ(βδ) − ε·log σ(−βδ) with label smoothing ε (DPO, Rafailov et al., 2023; Mitchell, 2023)
 * - `hinge`: max(0, 1 − βδ) (SLiC, Zhao et al., 2023)
 * - `ipo`: (δ − 1/2β)², δ of the means over tokens (Azar et al., 2023, as its authors and TRL compute it)
 */
export const preferenceLossTypes = ['sigmoid', 'ipo', 'hinge'] as const
/** TRL's names of losses over pairs. */
export type PreferenceLossType = (typeof preferenceLossTypes)[number]
