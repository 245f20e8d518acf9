/** @file Variables of the environment, by which trackers are found. */

/** Names and values, as `process.env` has them. */
export type Variables = Readonly<Record<string, string | undefined>>
