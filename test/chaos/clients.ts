// Clients for the chaos tests: what each got, in one shape, whether it was streamed, refused or cut off; and what the
// server says of itself afterwards.
import { expect } from "vitest";

export interface Question {
  readonly model: string;
  readonly prompt: string;
  readonly maxTokens: number;
  /** Default false. */
  readonly stream?: boolean;
  /** Default "chat": the prompt as a user's message. "completions": as it stands. */
  readonly endpoint?: "chat" | "completions";
  readonly signal?: AbortSignal;
}

export interface Answer {
  /** 0 where no answer came at all. */
  readonly status: number;
  readonly text: string;
  readonly finishReason: string | null;
  /** Tokens that were generated, where the answer was whole. */
  readonly tokens: number | null;
  readonly retryAfterS: number | null;
  /** What went wrong, wherever: a refusal, an error inside the stream, a cut connection. Null: a whole answer. */
  readonly error: string | null;
}

interface Choice {
  readonly text?: string;
  readonly message?: { readonly content: string };
  readonly delta?: { readonly content?: string };
  readonly finish_reason?: string | null;
}

interface Chunk {
  readonly choices?: readonly Choice[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: { readonly message: string };
}

/** Asks at temperature 0. Never rejects. `onText` hears of each piece of a streamed answer. */
export async function ask(baseUrl: string, question: Question, onText: () => void = () => {}): Promise<Answer> {
  const { model, prompt, maxTokens, stream = false, endpoint = "chat", signal } = question;
  let status = 0;
  let retryAfterS: number | null = null;
  let text = "";
  let finishReason: string | null = null;
  let tokens: number | null = null;
  let error: string | null = null;
  const take = (chunk: Chunk) => {
    if (chunk.error !== undefined) error = chunk.error.message;
    const choice = chunk.choices?.[0];
    const piece = choice?.text ?? choice?.message?.content ?? choice?.delta?.content ?? "";
    text += piece;
    finishReason = choice?.finish_reason ?? finishReason;
    tokens = chunk.usage?.completion_tokens ?? tokens;
    if (piece !== "") onText();
  };
  try {
    const response = await fetch(`${baseUrl}/v1/${endpoint === "chat" ? "chat/completions" : "completions"}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model,
        max_tokens: maxTokens,
        temperature: 0,
        stream,
        ...(stream ? { stream_options: { include_usage: true } } : {}),
        ...(endpoint === "chat" ? { messages: [{ role: "user", content: prompt }] } : { prompt }),
      }),
      ...(signal === undefined ? {} : { signal }),
    });
    status = response.status;
    const after = response.headers.get("retry-after");
    retryAfterS = after === null ? null : Number(after);
    if (!stream || status !== 200) take((await response.json()) as Chunk);
    else {
      let done = false;
      for await (const data of events(response)) {
        done = data === "[DONE]";
        if (!done) take(JSON.parse(data) as Chunk);
      }
      if (!done) error ??= "the stream ended without [DONE]";
    }
  } catch (thrown) {
    error ??= thrown instanceof Error ? thrown.message : String(thrown);
  }
  return { status, text, finishReason, tokens, retryAfterS, error };
}

/** The data of each server-sent event. */
async function* events(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of response.body ?? []) {
    const lines = (rest + decoder.decode(bytes as Uint8Array, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
  }
}

export async function getJson(baseUrl: string, path: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(baseUrl + path);
  return { status: response.status, body: await response.json() };
}

export interface PoolFigures {
  readonly loaded_experts: readonly { readonly expert_id: string; readonly leases: number; readonly waiting: number }[];
  readonly budget_bytes: number;
  readonly reserved_bytes: number;
  readonly loads: number;
  readonly evictions: number;
  readonly waiting: number;
}

export async function poolFigures(baseUrl: string): Promise<PoolFigures> {
  const { body } = await getJson(baseUrl, "/stats");
  return (body as { lazy_loading: PoolFigures }).lazy_loading;
}

/** Waits until nobody holds or waits for a model, which must be soon once every client is gone; then health is green. */
export async function expectCalm(baseUrl: string): Promise<void> {
  await expect
    .poll(
      async () => {
        const { loaded_experts, waiting } = await poolFigures(baseUrl);
        return loaded_experts.reduce((sum, { leases }) => sum + leases, waiting);
      },
      { timeout: 15_000, interval: 100, message: "leases and waiting requests" },
    )
    .toBe(0);
  expect(await getJson(baseUrl, "/health")).toMatchObject({ status: 200, body: { status: "healthy" } });
}
