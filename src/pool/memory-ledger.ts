// The byte ledger: what each model has reserved of the RAM budget. Invariant 1 stands here: no reservation makes the sum
// exceed the budget, and an attempt to make it do so is a bug that throws. Imports nothing.

export class MemoryLedger {
  /** A smaller budget leaves reservations as they are: `freeBytes` is negative until enough of them are freed. */
  budgetBytes: number;
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
    const isMore = bytes > this.of(modelId);
    if (!(bytes >= 0) || (isMore && this.reservedBytes - this.of(modelId) + bytes > this.budgetBytes)) {
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
