export {
  adapterInfo,
  checkLoraOptions,
  LORA_TARGETS,
  type AdapterInfo,
  type LoraOptions,
  type LoraTarget,
} from './lora';
export { readPeftAdapter, readSettings, savePeftAdapter } from './peft';
