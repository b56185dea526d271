// A cheap live check of one expert: a few tokens through the pool, like any request. May import contract.ts and core/.
import type { Clock } from "../core/clock.ts";
import { AbandonedError, messageOf } from "../core/errors.ts";
import { plainChat, type ChatService } from "./contract.ts";

export interface ProbeOutcome {
  readonly ok: boolean;
  /** One sentence: what came, or why nothing did. */
  readonly detail: string;
  readonly durationMs: number;
}

/** Tokens enough for a model that thinks before it speaks to produce one. */
const probeTokens = 8;

/** Never rejects but with AbandonedError, when the signal fires. */
export async function probe(
  chat: ChatService,
  expertId: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const startMs = clock.nowMs();
  try {
    let generatedTokens = 0;
    const answer = chat.chat(
      {
        model: expertId,
        messages: [{ role: "user", content: "Hola" }],
        maxTokens: probeTokens,
        ...plainChat,
        sampling: { temperature: 0 },
      },
      signal,
    );
    for await (const event of answer) if (event.type === "end") generatedTokens = event.timings.generatedTokens;
    const ok = generatedTokens > 0;
    return {
      ok,
      detail: ok ? `generated ${generatedTokens} tokens` : "ended without a token",
      durationMs: clock.nowMs() - startMs,
    };
  } catch (error) {
    if (error instanceof AbandonedError || signal.aborted) throw new AbandonedError();
    return { ok: false, detail: messageOf(error), durationMs: clock.nowMs() - startMs };
  }
}
