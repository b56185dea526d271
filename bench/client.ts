// One request to the server as a client sends it, with what it cost. Imports nothing.

export interface Answer {
  readonly expertId: string;
  /** To the first generated text. Null where none came. */
  readonly firstTextMs: number | null;
  readonly totalMs: number;
  readonly tokens: number;
  /** Null for a whole answer. */
  readonly error: string | null;
}

export interface Question {
  readonly expertId: string;
  readonly prompt: string;
  readonly maxTokens: number;
}

/** Never rejects: what goes wrong is the answer's error. */
export async function ask(baseUrl: string, { expertId, prompt, maxTokens }: Question): Promise<Answer> {
  const startMs = performance.now();
  let firstTextMs: number | null = null;
  let tokens = 0;
  let error: string | null = null;
  try {
    const response = await fetch(`${baseUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: expertId,
        messages: [{ role: "user", content: prompt }],
        max_tokens: maxTokens,
        temperature: 0,
        stream: true,
        stream_options: { include_usage: true },
      }),
    });
    if (!response.ok || response.body === null) {
      error = `${response.status} ${errorCodeOf(await response.text())}`;
    } else {
      for await (const event of serverSentEvents(response.body)) {
        const chunk = JSON.parse(event) as Chunk;
        if (chunk.error !== undefined) error = chunk.error.message ?? "an error in the stream";
        firstTextMs ??= isText(chunk) ? performance.now() - startMs : null;
        tokens = chunk.usage?.completion_tokens ?? tokens;
      }
      if (error === null && tokens === 0) error = "an answer without tokens";
    }
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown);
  }
  return { expertId, firstTextMs, totalMs: performance.now() - startMs, tokens, error };
}

interface Chunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly completion_tokens?: number } | null;
  readonly error?: { readonly message?: string };
}

/** Generated weights may begin with a token that has no text: the end of the answer counts too. */
function isText({ choices }: Chunk): boolean {
  return choices?.some(({ delta, finish_reason }) => Boolean(delta?.content) || Boolean(finish_reason)) ?? false;
}

function errorCodeOf(body: string): string {
  try {
    return (JSON.parse(body) as { error: { code: string } }).error.code;
  } catch {
    return body.slice(0, 100);
  }
}

/** The data of each event of a stream, up to `[DONE]`. */
export async function* serverSentEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true });
    const events = rest.split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n");
      if (data === "[DONE]") return;
      if (data !== "") yield data;
    }
  }
}
