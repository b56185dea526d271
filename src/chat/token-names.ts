// Log probabilities with their tokens' text, as dialects show them. May import contract.ts and engine/ (types).
import type { ChosenTokenLogprobs, TextModel, TokenLogprob } from "../engine/engine.ts";
import type { NamedLogprobs, NamedToken } from "./contract.ts";

type Names = Pick<TextModel, "tokenBytes">;

export function namedLogprobs(model: Names, { token, logprob, top }: ChosenTokenLogprobs): NamedLogprobs {
  return { ...namedToken(model, { token, logprob }), top: top.map((one) => namedToken(model, one)) };
}

function namedToken(model: Names, { token, logprob }: TokenLogprob): NamedToken {
  const bytes = model.tokenBytes(token);
  return { token, logprob, bytes, text: new TextDecoder().decode(bytes) };
}
