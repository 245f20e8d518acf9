/** @file What models and adapters are called to clients, who are not to learn where they lie. */

/** `owner/name` of the hub as it is, of a path its last part. */
export function publicName(path: string): string {
  if (/^[\w.-]+\/[\w.-]+(@[\w.-]+)?$/.test(path) && !/^\.{1,2}\//.test(path)) return path
  return path.split(/[/\\]/).filter((part) => part !== '' && part !== '.').at(-1) ?? path // prettier-ignore
}
