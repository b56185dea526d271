// Log probabilities of an answer's tokens: as chat bodies carry them, and in the older form of completions. May import the
// chat contract.
import type { NamedLogprobs, NamedToken } from "../../chat/contract.ts";

/** What OpenAI's API writes for a token that cannot come: JSON has no -Infinity. */
const impossible = -9999;

/** Null where they were not asked for. */
export function chatLogprobs(tokens: readonly NamedLogprobs[] | null) {
  if (tokens === null) return null;
  return {
    content: tokens.map((token) => ({ ...tokenBody(token), top_logprobs: token.top.map(tokenBody) })),
    refusal: null,
  };
}

function tokenBody({ text, logprob, bytes }: NamedToken) {
  return { token: text, logprob: finite(logprob), bytes: [...bytes] };
}

/** `offset`: characters of the choice's text that stand before the first of these tokens. */
export function completionLogprobs(tokens: readonly NamedLogprobs[] | null, offset: number) {
  if (tokens === null) return null;
  let end = offset;
  const offsets = tokens.map(({ text }) => {
    const start = end;
    end += text.length;
    return start;
  });
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
    top_logprobs: tokens.map(likeliestByText),
    text_offset: offsets,
  };
}

/** The likeliest tokens and the chosen one, as OpenAI's API has it: one more where it is none of them. */
function likeliestByText(token: NamedLogprobs): Readonly<Record<string, number>> {
  const byText = new Map<string, number>();
  // Of tokens with the same text the likeliest stands, which comes first.
  for (const { text, logprob } of [...token.top, token]) {
    if (!byText.has(text)) byText.set(text, finite(logprob));
  }
  return Object.fromEntries(byText);
}

function finite(logprob: number): number {
  return Math.max(logprob, impossible);
}
