// What is remembered of each finished request: the port between the use cases and telemetry. Imports nothing.

export interface RequestRecord {
  readonly kind: "chat" | "completion" | "embedding" | "ranking";
  /** The expert that answered or should have; null where routing itself failed. */
  readonly expertId: string | null;
  readonly routingSource: string | null;
  /** `abandoned`: the caller left. */
  readonly outcome: "ok" | "error" | "abandoned";
  /** The error's code, for example `queue_full`; null unless `error`. */
  readonly errorCode: string | null;
  /** It ended as it should, and there was nothing to see for the caller: no text, no call of a tool. */
  readonly isEmpty: boolean;
  readonly durationMs: number;
  readonly queueMs: number;
  readonly loadMs: number;
  /** Null where no text came. */
  readonly ttftMs: number | null;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly promptMs: number;
  readonly generatedMs: number;
}

export type RequestRecorder = (record: RequestRecord) => void;
