// POST /v1/completions: several prompts are answered by the expert that took the first. May import the chat contract and
// core/.
import type { CompletionRequest } from "../../chat/contract.ts";
import type { Endpoint, StreamItem } from "../endpoint.ts";
import type { Services } from "../services.ts";
import { ignoredParameters } from "../common/unsupported.ts";
import { newHead } from "./answer-head.ts";
import { AwaitedStep } from "../common/awaited.ts";
import { choiceItems, type ChoiceStream } from "./choice-stream.ts";
import { readAnswers, startAnswers, type Answers } from "./choices.ts";
import { bestAnswers, completionAnswer, CompletionChoiceChunks, completionUsageChunk } from "./completion-answer.ts";
import {
  completionBody,
  toCompletionQuestion,
  type CompletionBody,
  type CompletionQuestion,
} from "./completion-request.ts";
import { completion, completionChunk } from "./responses.ts";
import { choicesTimings } from "./usage.ts";
import { answerHeaders, modelErrors } from "../common/model-answer.ts";

type Needs = Pick<Services, "chat" | "clock" | "dropsParameters" | "poolStatus" | "resolveModel" | "version">;

export function completionEndpoint(services: Needs): Endpoint<CompletionBody> {
  return {
    method: "post",
    path: "/v1/completions",
    aliases: ["/completions"],
    summary: "Continue a text as it stands, without a chat template",
    tag: "OpenAI",
    body: completionBody,
    response: completion,
    streamItem: completionChunk,
    errors: modelErrors,
    headers: answerHeaders,
    async handle({ body, signal }) {
      const question = toCompletionQuestion(body, services.dropsParameters);
      const { requests, candidates, choices } = question;
      const count = requests.length * candidates;
      const answers = await startAnswers({
        count,
        start: (index, expertId, answerSignal) => {
          const request = requests[Math.floor(index / candidates)] ?? requests[0];
          const named = expertId === null ? {} : { model: expertId };
          return services.chat.complete({ ...request, ...named, choice: index % candidates }, answerSignal);
        },
        parallel: (expertId) => services.resolveModel(expertId)?.parallel ?? 1,
        signal,
      });
      const head = newHead("cmpl", services, answers.routing);
      const headers = { "x-expert": head.routing.expertId, ...ignoredParameters(question.ignored) };
      const readEchoes = () => echoes(services, question, head.routing.expertId, signal);
      if (body.stream === true) {
        const awaited = new AwaitedStep(services, head.routing);
        const stream = (echoed: readonly string[]): ChoiceStream => ({
          head,
          count,
          candidates,
          newChoice: (ofChoice, index) =>
            new CompletionChoiceChunks(ofChoice, index, echoed[Math.floor(index / candidates)] ?? ""),
          usageChunk: body.stream_options?.include_usage === true ? completionUsageChunk : null,
        });
        return {
          kind: "stream",
          headers,
          items: withEchoes(answers, stream, readEchoes, awaited),
          awaited: () => awaited.text(),
        };
      }
      const echoed = await echoesOf(answers, readEchoes);
      const { routing, whole } = await readAnswers(answers, count);
      const given = requests.flatMap((_, index) => {
        const answered = whole.slice(index * candidates, (index + 1) * candidates);
        return bestAnswers(answered, choices).map((answer) => ({ answer, echo: echoed[index] ?? "" }));
      });
      const timings = choicesTimings(
        whole.map(({ end }) => end.timings),
        candidates,
      );
      return {
        kind: "json",
        headers: { ...headers, "x-expert": routing.expertId },
        body: completionAnswer({ ...head, routing }, given, question.givesLogprobs, timings),
      };
    },
  };
}

/** For each prompt what stands before its answers. */
async function echoes(
  { chat }: Needs,
  { requests, echoes: isAsked }: CompletionQuestion,
  expertId: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (!isAsked) return [];
  const textOf = async ({ prompt }: CompletionRequest): Promise<string> =>
    typeof prompt === "string"
      ? prompt
      : chat.withModel(expertId, (model) => model.detokenize(prompt, { special: true }), signal);
  return Promise.all(requests.map(textOf));
}

async function echoesOf(answers: Answers, readEchoes: () => Promise<readonly string[]>): Promise<readonly string[]> {
  try {
    return await readEchoes();
  } catch (thrown) {
    // The answers have begun, and nobody will read them.
    await answers.events.return();
    throw thrown;
  }
}

async function* withEchoes(
  answers: Answers,
  stream: (echoed: readonly string[]) => ChoiceStream,
  readEchoes: () => Promise<readonly string[]>,
  awaited: AwaitedStep,
): AsyncGenerator<StreamItem, void, void> {
  yield* choiceItems(answers, stream(await echoesOf(answers, readEchoes)), awaited);
}
