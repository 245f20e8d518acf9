/** @file The trackers by name, apart from what they load: flags and help need no more. */

/** Names of the trackers there are. */
export const trackerNames = ['tensorboard', 'mlflow', 'trackio'] as const

/** The name of a tracker. */
export type TrackerName = (typeof trackerNames)[number]
