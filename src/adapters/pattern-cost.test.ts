/**
 * @file Patterns of strangers: those that PEFT's users write are taken, those that may take time without end are refused by
 * name.
 */
import { describe, expect, it } from 'vitest'
import { patternCost } from './pattern-cost.js'
import { pythonRegex } from './python-regex.js'

describe('the time of a pattern', () => {
  it.each([
    '.*\\.(q_proj|v_proj)$',
    'model\\.layers\\.(?:[0-9]|1[0-5])\\.self_attn\\.(?:q|k|v|o)_proj',
    // What Unsloth writes.
    '(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?(?:q_proj|k_proj|v_proj|o_proj).*?)|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_attn|mlp)\\.(?:(?:q_proj|k_proj)))',
    '(layers\\.){2}x',
  ])('is bounded for %s', (pattern) => {
    expect(patternCost(pattern).problem).toBeUndefined()
  })

  it.each([
    ['(a+)+$', '"+" repeats a group'],
    ['((.*))*x', '"*" repeats a group'],
    ['(?:a|a)*x', '"*" repeats a group'],
    ['(a?){30}a{30}', '"{30}" repeats a group'],
    ['.*.*.*.*.*.*.*.*x', '8 unbounded repetitions, more than 7'],
    [`${'a?'.repeat(30)}${'a'.repeat(30)}`, '30 choices, more than 24'],
    ['(.|.)'.repeat(20) + 'x', '40 choices, more than 24'],
    ['a'.repeat(30_000), 'it has 30000 characters'],
  ])('is refused for %s', (pattern, message) => {
    expect(() => pythonRegex(pattern, 'match')).toThrow(message)
  })
})
