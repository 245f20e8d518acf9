/** @file The network failed, not the request: what lies in a cache may serve in its place. */

/** The network failed, not the request. */
export class Unreachable extends Error {}
