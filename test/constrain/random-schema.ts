/** @file Random schemas of all that is supported, for tests: some have no value. */
import { Random } from '../../src/util/rng.js'

type Json = Record<string, unknown>

/** A schema, made of a seed. */
export function randomSchema(seed: number): Json {
  const random = Random.derive(seed, 'schema')
  const below = (n: number): number => Math.floor(random.uniform() * n)
  const chance = (share: number): boolean => random.uniform() < share
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!
  const names = ['a', 'b', 'name', 'é', 'x y', 'quote"', 'back\\slash', 'id']
  const patterns = [
    '^[a-c]{2,4}$',
    'ab+c',
    '^(foo|bar)-\\d{1,3}',
    '^\\p{Lu}\\p{Ll}*$',
    '[^"\\\\]$',
    '^.{1,5}$',
    'x|^y',
    '^$',
    '^[\\w.]+@[\\w]+$',
    '\\n',
    'é🙂?',
  ]
  const formats = ['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid', 'uri']
  const value = (): unknown => pick([1, -2.5, 'a', '', 'é"\\', null, true, [1, 'a'], { a: 1 }, { b: [] }])

  const bounds = (): Json => {
    const low = pick([-1000, -7, -0.5, 0, 0.1, 3, 12.75, 99])
    const high = low + pick([0.3, 1, 6, 1234.5])
    return {
      ...(chance(0.6) && { [chance(0.5) ? 'minimum' : 'exclusiveMinimum']: low }),
      ...(chance(0.6) && { [chance(0.5) ? 'maximum' : 'exclusiveMaximum']: high }),
    }
  }
  const counts = (least: string, most: string): Json => {
    const low = below(3)
    return { ...(chance(0.4) && { [least]: low }), ...(chance(0.4) && { [most]: low + below(3) }) }
  }
  const scalar = (): Json =>
    pick([
      () => ({ type: 'boolean' }),
      () => ({ type: 'null' }),
      () => ({ type: 'integer', ...bounds(), ...(chance(0.2) && { multipleOf: pick([2, 7, 10]) }) }),
      () => ({ type: 'number', ...bounds() }),
      () => ({ type: 'string', ...counts('minLength', 'maxLength') }),
      () => ({ type: 'string', pattern: pick(patterns), ...(chance(0.3) && { maxLength: 6 }) }),
      () => ({ type: 'string', format: pick(formats) }),
      () => ({ enum: [value(), value(), value()] }),
      () => ({ const: value() }),
      () => ({ type: ['string', 'null', 'integer'], minimum: -5 }),
    ])()
  const schema = (depth: number): Json => {
    if (depth === 0 || chance(0.35)) return scalar()
    return pick([
      () => object(depth),
      () => object(depth),
      () => ({ type: 'array', items: schema(depth - 1), ...counts('minItems', 'maxItems') }),
      () => ({
        type: 'array',
        prefixItems: [schema(depth - 1), schema(depth - 1)],
        items: chance(0.5) ? false : schema(depth - 1),
        ...counts('minItems', 'maxItems'),
      }),
      () => ({ anyOf: [schema(depth - 1), schema(depth - 1)] }),
      () => ({ allOf: [object(depth), { required: [pick(names)] }] }),
      () => ({
        oneOf: [
          { type: 'object', properties: { kind: { const: 'p' }, v: schema(depth - 1) }, required: ['kind'] },
          { type: 'object', properties: { kind: { const: 'q' } }, required: ['kind'] },
          { type: 'null' },
        ],
      }),
      () => ({ $ref: `#/$defs/${pick(['tree', 'leaf'])}` }),
      () => ({ ...object(depth), anyOf: [{ required: ['a'] }, { required: ['b'] }] }),
      () => (chance(0.5) ? {} : { type: 'object' }),
    ])()
  }
  const object = (depth: number): Json => {
    const own = names.filter(() => chance(0.35))
    return {
      type: 'object',
      properties: Object.fromEntries(own.map((name) => [name, schema(depth - 1)])),
      required: own.filter(() => chance(0.5)),
      ...(chance(0.3) && { additionalProperties: chance(0.5) ? schema(depth - 1) : chance(0.5) }),
      ...(chance(0.15) && { patternProperties: { '^p_': schema(depth - 1), '\\d$': schema(depth - 1) } }),
      ...(chance(0.15) && { propertyNames: { pattern: '^[a-z]' } }),
      ...(chance(0.15) && counts('minProperties', 'maxProperties')),
    }
  }
  const tree = {
    type: 'object',
    properties: { value: { $ref: '#/$defs/leaf' }, children: { type: 'array', items: { $ref: '#/$defs/tree' }, maxItems: 2 } },
    required: ['value'],
    additionalProperties: false,
  }
  return { ...schema(3), $defs: { tree, leaf: scalar() } }
}
