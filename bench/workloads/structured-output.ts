// What a format costs: JSON mode against free text where both give the same text (the demonstration model of the agronomy
// service, which writes JSON by itself), and a grammar that generated weights never would follow, against llama-server under
// the same grammar. May import what workload.ts may.
import type { Comparison } from "../comparison.ts";
import { longestDialogues } from "../load/dialogues.ts";
import { type GenerationRequest, generateWhole } from "../load/generation.ts";
import { decodeMs, decodeRate } from "../load/rates.ts";
import { demoModel } from "../model-set.ts";
import { takeTurns } from "../protocol.ts";
import {
  type BenchContext,
  peerName,
  sides,
  type Side,
  withServer,
  withWarmServer,
  type Workload,
} from "./workload.ts";

const model = demoModel("agronomy");
const repeats = 5;
const promptTokens = 64;
const answerTokens = 96;
const samples = 2;

/** Objects with counted strings, numbers and words: at least as many as no answer comes to the end of. */
const grammar = String.raw`root ::= "[" object ("," object){63} "]"
object ::= "{\"name\":\"" [A-Za-z ]{2,24} "\",\"count\":" [1-9] [0-9]{0,5} ",\"kind\":" kind ",\"tags\":[" string ("," string){1,3} "]}"
kind ::= "\"formulario\"" | "\"consulta\"" | "\"intervención\""
string ::= "\"" [^"\\\x00-\x1F]{1,32} "\""`;

export const structuredOutputWorkload: Workload = {
  name: "structured-output",
  title: "JSON mode against free text (demonstration model), and a grammar on generated weights",
  async run(context) {
    return [await jsonAgainstText(context), await underGrammar(context)];
  },
};

/** Milliseconds of decoding, where both ways gave the same text. */
async function jsonAgainstText(context: BenchContext): Promise<Comparison> {
  const measured = await takeTurns(context.rounds, { both: () => tellBothWays(context) });
  return {
    title: "decode in JSON mode, demonstration model",
    unit: "ms",
    better: "lower",
    ours: measured.both.map(({ json }) => json),
    against: "the same text, free",
    other: measured.both.map(({ free }) => free),
    target: 0.9,
  };
}

async function tellBothWays(context: BenchContext): Promise<{ readonly json: number[]; readonly free: number[] }> {
  const options = { models: [model], contextTokens: 512, parallel: 1 };
  const dialogues = await longestDialogues("demo-agronomy", context.isQuick ? 4 : 8);
  return withServer(context, "ours", options, async ({ baseUrl }) => {
    const total = { json: [] as number[], free: [] as number[] };
    for (let repeat = -1; repeat < (context.isQuick ? 2 : repeats); repeat++) {
      const sum = { json: 0, free: 0 };
      for (const { messages } of dialogues) {
        const asked: GenerationRequest = { expertId: model.expertId, prompt: messages, maxTokens: 200 };
        const free = await generateWhole(baseUrl, asked);
        const json = await generateWhole(baseUrl, { ...asked, more: { response_format: { type: "json_object" } } });
        if (free.text !== json.text) continue;
        sum.free += decodeMs(free);
        sum.json += decodeMs(json);
      }
      // The first time warms up.
      if (repeat < 0 || sum.free === 0) continue;
      total.json.push(sum.json);
      total.free.push(sum.free);
    }
    return total;
  });
}

async function underGrammar(context: BenchContext): Promise<Comparison> {
  const measured = await takeTurns(
    context.rounds,
    sides((side, round) => writeUnderGrammar(context, side, round)),
  );
  return {
    title: "decode under a grammar, generated weights",
    unit: "tokens/s",
    better: "higher",
    ours: measured.ours,
    against: `${peerName} under the same grammar`,
    other: measured.peer,
    target: 1,
  };
}

function writeUnderGrammar(context: BenchContext, side: Side, round: number): Promise<number[]> {
  const options = { contextTokens: 512, parallel: 1 };
  return withWarmServer(context, side, options, async ({ baseUrl }, prompts) => {
    const rates: number[] = [];
    for (let sample = -1; sample < (context.isQuick ? 1 : samples); sample++) {
      const prompt = prompts.ofTokens(promptTokens, 2 + sample + samples * round);
      const { expertId } = context.model;
      const written = await generateWhole(baseUrl, { expertId, prompt, maxTokens: answerTokens, more: { grammar } });
      if (sample >= 0) rates.push(decodeRate([written]) ?? 0);
    }
    return rates;
  });
}
