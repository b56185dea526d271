// How large a context a model gets. Imports nothing.

/** Context of an expert that names none and was trained for more. */
const defaultContextTokens = 8192;

/** `configured`: tokens of each slot; null: none was named. Never more than the model was trained for. */
export function wantedContextTokens(configured: number | null, trainedTokens: number): number {
  return Math.min(configured ?? defaultContextTokens, trainedTokens);
}
