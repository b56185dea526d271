// What a GGUF file's name says. Imports nothing.

/** A file that a model is loaded from: no image projector, and of a model in several shards the first. */
export function isModelFileName(name: string): boolean {
  const shard = /-(\d{5})-of-\d{5}\.gguf$/i.exec(name)?.[1];
  return /\.gguf$/i.test(name) && !/mmproj/i.test(name) && (shard === undefined || shard === "00001");
}
