// One way to load a model. Imports nothing.

export interface ContextOption {
  /** Of each slot. */
  readonly contextTokens: number;
  /** What the model takes with it, all slots together. */
  readonly needBytes: number;
}
