// The files of one model: large ones come cut into parts. Pure; imports nothing.

/** The files of a model that was cut into `…-00001-of-00003.gguf` and so on; the path alone for any other. */
export function partPaths(path: string): string[] {
  const match = /^(.*)-00001-of-(\d{5})\.gguf$/i.exec(path);
  if (match === null) return [path];
  const [, stem, count = ""] = match;
  return Array.from(
    { length: Number(count) },
    (_, index) => `${stem}-${String(index + 1).padStart(5, "0")}-of-${count}.gguf`,
  );
}
