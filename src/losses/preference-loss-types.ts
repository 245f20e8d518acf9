/** @file The losses of preferences by name. */

/**
 * Of the difference δ of the log-ratios, with β:
 * - `sigmoid`: −(1 − ε)·log σ(βδ) − ε·log σ(−βδ) with label smoothing ε (DPO, Rafailov et al., 2023; Mitchell, 2023)
 * - `hinge`: max(0, 1 − βδ) (SLiC, Zhao et al., 2023)
 * - `ipo`: (δ − 1/2β)², δ of the means over tokens (Azar et al., 2023, as its authors and TRL compute it)
 */
export const dpoLossTypes = ['sigmoid', 'ipo', 'hinge'] as const
/** TRL's names of losses over pairs. */
export type DpoLossType = (typeof dpoLossTypes)[number]

/**
 * Of the log-ratio r of one completion, with β:
 * - `kto`: 1 − σ(β(r − KL)) of a desirable one, 1 − σ(β(KL − r)) of an undesirable one (Ethayarajh et al., 2024)
 * - `apo_zero_unpaired`: the same without the KL divergence (D'Oosterlinck et al., 2024)
 */
export const ktoLossTypes = ['kto', 'apo_zero_unpaired'] as const
/** TRL's names of losses over single completions. */
export type KtoLossType = (typeof ktoLossTypes)[number]

/** All of them: those of DPO ({@link dpoLossTypes}), then those of KTO ({@link ktoLossTypes}). */
export const preferenceLossTypes = [...dpoLossTypes, ...ktoLossTypes] as const
/** TRL's names of losses of preferences. */
export type PreferenceLossType = DpoLossType | KtoLossType
