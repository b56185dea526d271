// The byte ledger: what each model has reserved of the RAM budget. Invariant 1 stands here: the sum never exceeds the
// budget, and an attempt to make it do so is a bug that throws. Imports nothing.

export class MemoryLedger {
  readonly budgetBytes: number;
  readonly #reserved = new Map<string, number>();

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  get reservedBytes(): number {
    let sum = 0;
    for (const bytes of this.#reserved.values()) sum += bytes;
    return sum;
  }

  get freeBytes(): number {
    return this.budgetBytes - this.reservedBytes;
  }

  /** Bytes reserved for one model; 0 where it has no reservation. */
  of(modelId: string): number {
    return this.#reserved.get(modelId) ?? 0;
  }

  /** Sets a model's reservation to `bytes`, whether it had one or not. */
  reserve(modelId: string, bytes: number): void {
    if (!(bytes >= 0) || this.reservedBytes - this.of(modelId) + bytes > this.budgetBytes) {
      throw new RangeError(
        `cannot reserve ${bytes} bytes for ${modelId}: ${this.reservedBytes} of ${this.budgetBytes} are reserved, ` +
          `${this.of(modelId)} of them by it`,
      );
    }
    this.#reserved.set(modelId, bytes);
  }

  free(modelId: string): void {
    this.#reserved.delete(modelId);
  }
}
