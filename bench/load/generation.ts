// One streamed request as a client sends it, with when each piece of its answer came. Over node:http, each on a
// connection of its own: llama-server closes idle ones, and both sides shall pay the same. May import event-stream.ts.
import { request as httpRequest } from "node:http";
import { EventStream } from "./event-stream.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface GenerationRequest {
  readonly expertId: string;
  /** A text as it stands, or the messages of a chat. */
  readonly prompt: string | readonly ChatMessage[];
  readonly maxTokens: number;
  /** Further fields of the body. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Ends the request; what came until then is its answer, with an error. */
  readonly signal?: AbortSignal;
  /** Called with each piece of text when it has come. */
  readonly onText?: (pieces: number) => void;
}

export interface TextPiece {
  readonly atMs: number;
  readonly characters: number;
}

export interface Generation {
  readonly expertId: string;
  /** By performance.now(). */
  readonly startMs: number;
  /** To the first generated text, or to the end of an answer without any. Null where neither came. */
  readonly firstTextMs: number | null;
  readonly totalMs: number;
  readonly text: string;
  readonly pieces: readonly TextPiece[];
  readonly promptTokens: number;
  /** Of the prompt: those that the server did not have to read. */
  readonly cachedTokens: number;
  /** As the server counts them: llama-server counts an end-of-text token, this project's server does not. */
  readonly generatedTokens: number;
  /** Null for a whole answer. */
  readonly error: string | null;
}

/** Never rejects: what goes wrong is the answer's error. Always at temperature 0. */
export function generate(baseUrl: string, wanted: GenerationRequest): Promise<Generation> {
  return new Promise((resolve) => {
    const answer = new Answer(wanted);
    const isChat = typeof wanted.prompt !== "string";
    const body = JSON.stringify({
      model: wanted.expertId,
      ...(isChat ? { messages: wanted.prompt } : { prompt: wanted.prompt }),
      max_tokens: wanted.maxTokens,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
      ...wanted.more,
    });
    const finish = (error: string | null) => resolve(answer.end(error));
    const request = httpRequest(
      `${baseUrl}${isChat ? "/v1/chat/completions" : "/v1/completions"}`,
      {
        method: "POST",
        agent: false,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
        ...(wanted.signal === undefined ? {} : { signal: wanted.signal }),
      },
      (response) => {
        const events = new EventStream();
        const refusal: Buffer[] = [];
        response.on("data", (bytes: Buffer) => {
          if (response.statusCode !== 200) refusal.push(bytes);
          else for (const data of events.push(bytes)) answer.add(data);
        });
        response.on("error", (error) => finish(error.message));
        response.on("end", () => {
          const isRefused = response.statusCode !== 200;
          finish(isRefused ? `${response.statusCode} ${errorOf(Buffer.concat(refusal).toString())}` : null);
        });
      },
    );
    request.on("error", (error) => finish(error.message));
    request.end(body);
  });
}

/** The same, but an answer with an error is thrown: for measurements that mean nothing without it. */
export async function generateWhole(baseUrl: string, wanted: GenerationRequest): Promise<Generation> {
  const generation = await generate(baseUrl, wanted);
  if (generation.error !== null) throw new Error(`${baseUrl} answered for ${wanted.expertId}: ${generation.error}`);
  return generation;
}

/** Time to the first text in milliseconds. */
export function ttftMs({ firstTextMs, totalMs }: Generation): number {
  return firstTextMs ?? totalMs;
}

interface Chunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly text?: string;
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens?: number;
    readonly completion_tokens?: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  } | null;
  readonly error?: { readonly message?: string };
}

class Answer {
  readonly #startMs = performance.now();
  readonly #wanted: GenerationRequest;
  readonly #pieces: TextPiece[] = [];
  #text = "";
  #firstTextMs: number | null = null;
  #usage: NonNullable<Chunk["usage"]> = {};
  #error: string | null = null;

  constructor(wanted: GenerationRequest) {
    this.#wanted = wanted;
  }

  add(data: string): void {
    const atMs = performance.now();
    let chunk: Chunk;
    try {
      chunk = JSON.parse(data) as Chunk;
    } catch {
      this.#error ??= `an event that is no JSON: ${data.slice(0, 100)}`;
      return;
    }
    if (chunk.error !== undefined) this.#error ??= chunk.error.message ?? "an error in the stream";
    this.#usage = chunk.usage ?? this.#usage;
    for (const { delta, text, finish_reason } of chunk.choices ?? []) {
      const piece = delta?.content ?? text ?? "";
      // Generated weights may begin with a token that has no text: the end of the answer counts too.
      if (piece !== "" || Boolean(finish_reason)) this.#firstTextMs ??= atMs - this.#startMs;
      if (piece === "") continue;
      this.#text += piece;
      this.#pieces.push({ atMs, characters: piece.length });
      this.#wanted.onText?.(this.#pieces.length);
    }
  }

  end(error: string | null): Generation {
    const generatedTokens = this.#usage.completion_tokens ?? 0;
    return {
      expertId: this.#wanted.expertId,
      startMs: this.#startMs,
      firstTextMs: this.#firstTextMs,
      totalMs: performance.now() - this.#startMs,
      text: this.#text,
      pieces: this.#pieces,
      promptTokens: this.#usage.prompt_tokens ?? 0,
      cachedTokens: this.#usage.prompt_tokens_details?.cached_tokens ?? 0,
      generatedTokens,
      error: error ?? this.#error ?? (generatedTokens === 0 ? "an answer without tokens" : null),
    };
  }
}

function errorOf(body: string): string {
  try {
    const { code, message } = (JSON.parse(body) as { error: { code?: unknown; message?: unknown } }).error;
    return [code, message]
      .filter((part) => typeof part === "string")
      .join(": ")
      .slice(0, 200);
  } catch {
    return body.slice(0, 100);
  }
}
