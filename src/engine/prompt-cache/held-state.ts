// The bytes of states in memory, counted from allocation to the moment they are really given back. Imports nothing.

/** Memory outside V8's heap. */
export interface StateBuffer {
  readonly bytes: Uint8Array;
  /** Gives the memory back at once; the bytes must not be used afterwards. */
  free(): void;
}

/** What is held in memory, all of it and what cannot be freed at the moment. */
export class HeldBytes {
  readonly #allocate: (sizeBytes: number) => StateBuffer;
  total = 0;
  pinned = 0;

  constructor(allocate: (sizeBytes: number) => StateBuffer) {
    this.#allocate = allocate;
  }

  /** Pinned once. Throws where the memory is not there. */
  take(sizeBytes: number): HeldState {
    return new HeldState(this, this.#allocate(sizeBytes));
  }
}

/** One state in memory. While somebody has pinned it, freeing it waits. */
export class HeldState {
  readonly #account: HeldBytes;
  readonly #buffer: StateBuffer;
  readonly #sizeBytes: number;
  #pins = 0;
  #isUnwanted = false;

  constructor(account: HeldBytes, buffer: StateBuffer) {
    this.#account = account;
    this.#buffer = buffer;
    this.#sizeBytes = buffer.bytes.length;
    account.total += this.#sizeBytes;
    this.pin();
  }

  get bytes(): Uint8Array {
    return this.#buffer.bytes;
  }

  get isPinned(): boolean {
    return this.#pins > 0;
  }

  pin(): void {
    this.#pins += 1;
    if (this.#pins === 1) this.#account.pinned += this.#sizeBytes;
  }

  unpin(): void {
    this.#pins -= 1;
    if (this.#pins > 0) return;
    this.#account.pinned -= this.#sizeBytes;
    if (this.#isUnwanted) this.#giveBack();
  }

  /** Frees at once, or with the last pin. To be called once. */
  free(): void {
    this.#isUnwanted = true;
    if (!this.isPinned) this.#giveBack();
  }

  #giveBack(): void {
    this.#account.total -= this.#sizeBytes;
    this.#buffer.free();
  }
}
