// Vocabularies loaded for tests, one at a time: a file's tokens and template without weights.
import { getLlama, type Llama, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import { vocabularyFile } from "./bundle.ts";

let llama: Promise<Llama> | undefined;

export async function withVocabulary<T>(name: string, use: (model: LlamaModel) => T | Promise<T>): Promise<T> {
  const model = await loadVocabulary(name);
  try {
    return await use(model);
  } finally {
    await model.dispose();
  }
}

export async function loadVocabulary(name: string): Promise<LlamaModel> {
  llama ??= getLlama({ build: "never", gpu: false, skipDownload: true, logLevel: LlamaLogLevel.disabled });
  return await (await llama).loadModel({ modelPath: vocabularyFile(name), vocabOnly: true });
}
