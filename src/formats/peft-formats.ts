/** @file PEFT's own folders as adapter formats: with safetensors, and with the older adapter_model.bin. */
import type { Files } from '../io/files.js'
import type { AdapterFormat } from './adapter-file.js'
import { formatAdapterConfig } from './peft-config.js'
import { CONFIG_FILE, readAdapterFolder, TENSORS_FILE, TORCH_TENSORS_FILE, writeAdapterFolder } from './peft.js'
import { encodeTorch } from './torch/index.js'

const hasBoth = async (files: Files, path: string, tensors: string): Promise<boolean> =>
  (await files.exists(`${path}/${CONFIG_FILE}`)) && (await files.exists(`${path}/${tensors}`))

export const peftFormat: AdapterFormat = {
  name: 'peft',
  description: `a folder of PEFT with ${CONFIG_FILE} and ${TENSORS_FILE}`,
  isFolder: true,
  holds: (files, path) => hasBoth(files, path, TENSORS_FILE),
  takes: (path) => !/\.[a-z_]+$/i.test(path.slice(path.lastIndexOf('/') + 1)),
  read: async (files, path) => ({ ...(await readAdapterFolder(files, path)), notes: [] }),
  async write(files, path, adapter) {
    await writeAdapterFolder(files, path, adapter)
    return []
  },
}

export const peftBinFormat: AdapterFormat = {
  name: 'peft-bin',
  description: `a folder of PEFT with ${CONFIG_FILE} and ${TORCH_TENSORS_FILE}`,
  isFolder: true,
  holds: (files, path) => hasBoth(files, path, TORCH_TENSORS_FILE),
  takes: () => false,
  read: async (files, path) => ({ ...(await readAdapterFolder(files, path)), notes: [] }),
  async write(files, path, adapter) {
    await files.makeFolder(path)
    await files.write(`${path}/${TORCH_TENSORS_FILE}`, encodeTorch(adapter.tensors, 'adapter_model'))
    await files.write(`${path}/${CONFIG_FILE}`, formatAdapterConfig(adapter))
    return []
  },
}
