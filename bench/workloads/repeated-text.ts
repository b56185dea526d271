// Answers that repeat what stands in their prompt: code that was asked for again, advice and JSON from the context (the
// demonstration models), and a story told once more (stories260K). Counted only where both sides gave the same text. May
// import what workload.ts may.
import type { Comparison } from "../comparison.ts";
import { type Dialogue, longestDialogues } from "../load/dialogues.ts";
import { type ChatMessage, type Generation, generateWhole } from "../load/generation.ts";
import { decodeMs } from "../load/rates.ts";
import { type BenchModel, demoModel, storiesModel } from "../model-set.ts";
import { takeTurns } from "../protocol.ts";
import {
  type BenchContext,
  peerName,
  type RunningServer,
  sides,
  type Side,
  withServer,
  type Workload,
} from "./workload.ts";

/** What the demonstration models know by heart, by the name that its dialogues bear. */
const dialogueModels = [
  { kind: "code again", dialogues: "qwen_coder", model: demoModel("qwen_coder") },
  { kind: "advice from the context", dialogues: "mistral_balanced", model: demoModel("mistral_balanced") },
  { kind: "JSON from the context", dialogues: "demo-agronomy", model: demoModel("agronomy") },
];
const dialoguesEach = 8;
const quickDialogues = 4;
const repeats = 5;
const storyOpening = "Once upon a time";
const storyTokens = 160;
/** An answer may come as a single piece. */
const leastMs = 0.1;

interface Case {
  readonly expertId: string;
  readonly kind: string;
  readonly prompt: string | readonly ChatMessage[];
  readonly maxTokens: number;
}

interface Timed {
  readonly kind: string;
  readonly text: string;
  readonly tokens: number;
  /** Of each repeat. */
  readonly decodeMs: readonly number[];
  readonly totalMs: readonly number[];
}

export const repeatedTextWorkload: Workload = {
  name: "repeated-text",
  title: "decode, text that repeats its prompt (demonstration models, stories260K): tokens per second, same text",
  async run(context) {
    const measured = await takeTurns(
      context.rounds,
      sides((side) => tellAll(context, side)),
    );
    const kinds = [...new Set(measured.ours.flatMap((run) => run.map(({ kind }) => kind)))];
    const title = "decode, text that repeats its prompt";
    const decode = (own: Timed) => own.decodeMs;
    const whole = (own: Timed) => own.totalMs;
    return [
      comparison(title, measured, () => true, decode, 1.5),
      ...kinds.map((kind) => comparison(`${title}: ${kind}`, measured, (each) => each.kind === kind, decode, null)),
      comparison(`${title}, whole requests`, measured, () => true, whole, null),
      {
        title: `${title}: same text`,
        unit: "answers",
        better: "higher",
        ours: measured.ours.map((run, round) => [
          run.filter((own, index) => isSame(own, measured.peer[round]?.[index])).length,
        ]),
        against: "answers given",
        other: measured.ours.map((run) => [run.length]),
        target: 1,
      },
    ];
  },
};

type Runs = Readonly<Record<Side, readonly (readonly Timed[])[]>>;

/** Tokens per second over all answers of a kind that both sides gave alike, by repeats; tokens as one side counts them. */
function comparison(
  title: string,
  { ours, peer }: Runs,
  isWanted: (answer: Timed) => boolean,
  timesOf: (answer: Timed) => readonly number[],
  target: number | null,
): Comparison {
  const same = ours.map((run, round) =>
    run.flatMap((own, index) => {
      const other = peer[round]?.[index];
      return other !== undefined && isSame(own, other) && isWanted(own) ? { own, other } : [];
    }),
  );
  const rates = (pick: (pair: { own: Timed; other: Timed }) => Timed) =>
    same.map((pairs) => {
      const tokens = pairs.reduce((sum, { own }) => sum + own.tokens, 0);
      if (tokens === 0) return [];
      const repeats = Math.min(...pairs.map((pair) => timesOf(pick(pair)).length));
      return Array.from({ length: repeats }, (_, repeat) => {
        const ms = pairs.reduce((sum, pair) => sum + (timesOf(pick(pair))[repeat] ?? 0), 0);
        return (tokens * 1000) / Math.max(ms, leastMs);
      });
    });
  return {
    title,
    unit: "tokens/s",
    better: "higher",
    ours: rates(({ own }) => own),
    against: peerName,
    other: rates(({ other }) => other),
    target,
  };
}

function isSame(own: Timed, other: Timed | undefined): boolean {
  return own.text === other?.text;
}

async function tellAll(context: BenchContext, side: Side): Promise<Timed[]> {
  const wanted = context.isQuick ? 2 : repeats;
  const tellWith = (model: BenchModel, casesOf: (server: RunningServer) => Promise<Case[]>) => {
    const options = { models: [model], contextTokens: 512, parallel: 1 };
    return withServer(context, side, options, async (server) => {
      const answers: Timed[] = [];
      for (const each of await casesOf(server)) answers.push(await tell(server, each, wanted));
      return answers;
    });
  };
  const answers: Timed[] = [];
  for (const { kind, dialogues, model } of dialogueModels) {
    const known = await longestDialogues(dialogues, context.isQuick ? quickDialogues : dialoguesEach);
    const cases = known.map((dialogue) => dialogueCase(model.expertId, kind, dialogue));
    answers.push(...(await tellWith(model, async () => cases)));
  }
  return [...answers, ...(await tellWith(storiesModel, async (server) => [await storyCase(server)]))];
}

/** The question again, with its answer in the context. */
function dialogueCase(expertId: string, kind: string, { messages, answer }: Dialogue): Case {
  const question = messages.filter(({ role }) => role === "user").slice(-1);
  return { expertId, kind, prompt: [...messages, { role: "assistant", content: answer }, ...question], maxTokens: 128 };
}

/** The model's own story, and its opening again. */
async function storyCase({ baseUrl }: RunningServer): Promise<Case> {
  const { expertId } = storiesModel;
  const told = await generateWhole(baseUrl, { expertId, prompt: storyOpening, maxTokens: storyTokens });
  const prompt = `${storyOpening}${told.text} ${storyOpening}`;
  return { expertId, kind: "story told again", prompt, maxTokens: storyTokens };
}

async function tell({ baseUrl }: RunningServer, { kind, ...request }: Case, repeats: number): Promise<Timed> {
  const first = await generateWhole(baseUrl, request);
  const again: Generation[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) again.push(await generateWhole(baseUrl, request));
  return {
    kind,
    text: first.text,
    tokens: first.generatedTokens,
    decodeMs: again.map(decodeMs),
    totalMs: again.map(({ totalMs }) => totalMs),
  };
}
