/** @file Hub ids told from paths, and the hub's settings with the defaults and variables of Python's huggingface_hub. */
import { describe, expect, it } from 'vitest'
import { hubSettings, parseHubId, tokenFileOf } from './hub-id.js'

describe('parseHubId', () => {
  it('reads owner, name and revision', () => {
    expect(parseHubId('HuggingFaceTB/SmolLM2-135M')).toEqual({ name: 'HuggingFaceTB/SmolLM2-135M', revision: 'main' })
    expect(parseHubId('a/b.c@refs/pr/1')).toEqual({ name: 'a/b.c', revision: 'refs/pr/1' })
  })

  it('leaves paths alone', () => {
    for (const path of ['gpt2', './a/b', 'a/b/c', '/a/b', '~/m', 'a\\b', 'a/', '', 'a..b/c'])
      expect(parseHubId(path)).toBeUndefined()
  })
})

describe('tokenFileOf', () => {
  it('is where Python keeps the token of a login', () => {
    expect(tokenFileOf({}, '/home/me')).toBe('/home/me/.cache/huggingface/token')
    expect(tokenFileOf({ HF_HOME: '~/h', HF_HUB_CACHE: '/c' }, '/home/me')).toBe('/home/me/h/token')
    expect(tokenFileOf({ HF_HOME: '/h', HF_TOKEN_PATH: '/t' }, '/home/me')).toBe('/t')
  })
})

describe('hubSettings', () => {
  it('has the defaults of huggingface_hub', () => {
    expect(hubSettings({}, '/home/me')).toEqual({
      endpoint: 'https://huggingface.co',
      token: undefined,
      cacheDir: '/home/me/.cache/huggingface/hub',
      offline: false,
    })
  })

  it('reads the variables in the order of precedence', () => {
    expect(hubSettings({ HF_HOME: '/h' }, '/home/me').cacheDir).toBe('/h/hub')
    expect(hubSettings({ XDG_CACHE_HOME: '/x' }, '/home/me').cacheDir).toBe('/x/huggingface/hub')
    expect(hubSettings({ HF_HUB_CACHE: '~/c', HF_HOME: '/h' }, '/home/me').cacheDir).toBe('/home/me/c')
    expect(
      hubSettings({ HF_ENDPOINT: 'https://mirror/', HF_HUB_OFFLINE: 'yes', HF_TOKEN: '', HUGGING_FACE_HUB_TOKEN: 't\n' }, '/'),
    ).toMatchObject({
      endpoint: 'https://mirror',
      offline: true,
      token: 't',
    })
  })
})
