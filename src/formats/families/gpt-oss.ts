// gpt-oss: an answer is a series of messages, each with a header that names its channel (analysis, commentary, final) and
// whom it is for; a message for `functions.x` is a call. May import answer-shape.ts and its neighbours.
import type { ToolCall } from "../../engine/engine.ts";
import { type AnswerContent, type AnswerShape, type PartSink, readThinking } from "../answer-shape.ts";
import { alternatives, argumentsSchema, type CallGrammar, type CallReader, type CallSyntax } from "../call-syntax.ts";
import type { Family } from "../family.ts";
import { Markers, type Reading, type Scanner } from "../scanner.ts";

const channel = "<|channel|>";
const message = "<|message|>";
const start = "<|start|>assistant";
const end = "<|end|>";
/** The vocabulary's ends of an answer; as a rule they do not come as text. */
const ends = [end, "<|call|>", "<|return|>"];

const calls: CallSyntax = {
  markers: [],
  startsWithBrace: false,
  allowsSeveral: false,
  preservedTokens: [],
  grammar: callGrammar,
  read: readNothing,
  write: (written) => written.map(write).join(""),
};

export const gptOss: Family = {
  name: "gpt-oss",
  matches: (source) => source.includes("<|channel|>analysis"),
  calls: () => calls,
  hasChannels: true,
};

export function channelShape(generationPrompt: string, canCall: boolean): AnswerShape {
  const opened = generationPrompt.lastIndexOf(message);
  const inMessage = opened > Math.max(generationPrompt.lastIndexOf("<|start|>"), generationPrompt.lastIndexOf(end));
  const header = inMessage
    ? generationPrompt.slice(Math.max(0, generationPrompt.lastIndexOf("<|start|>")), opened)
    : null;
  const openChannel = header === null ? null : channelOf(header);
  const thinkingEnd = end + start + (canCall ? "" : `${channel}final${message}`);
  return {
    preservedTokens: [channel, message, "<|start|>", end, "<|constrain|>"],
    thinkingEnd,
    grammar: (content, isThinkingEnded) => channelGrammar(content, openChannel, isThinkingEnded, canCall),
    read: (scanner, sink) => readMessages(scanner, sink, openChannel),
  };
}

function channelGrammar(
  content: AnswerContent,
  openChannel: string | null,
  isThinkingEnded: boolean,
  canCall: boolean,
): string {
  const { builder, calls: called, output } = content;
  const text = (literal: string) => builder.literal(literal);
  const body = output ?? builder.textWithout(ends);
  const isInFinal = openChannel === "final" || (isThinkingEnded && !canCall);
  if (isInFinal) return body;
  const final = `${text(`${channel}final`)} (" "? ${text("<|constrain|>json")})? ${text(message)} ${body}`;
  const answer = alternatives([
    ...(called === null ? [] : [builder.rule(callGrammar({ ...called, builder, space: "" }), "tool-call")]),
    ...(called?.mustCall === true ? [] : [builder.rule(final, "final")]),
  ]);
  const said = `${builder.textWithout([end])} ${text(end + start)}`;
  const preamble = `${text(`${channel}commentary${message}`)} ${said}`;
  const analysis = `${text(`${channel}analysis${message}`)} ${said}`;
  // A preamble is visible: where the answer must have a form, it would spoil it.
  const before = [...(isThinkingEnded ? [] : [analysis]), ...(called === null || output !== null ? [] : [preamble])];
  const first = openChannel !== null && !isThinkingEnded ? said : "";
  if (before.length === 0) return answer;
  return `${first} ${builder.rule(alternatives(before), "message")}{0,8} ${answer}`;
}

function callGrammar({ builder, tools, schema }: CallGrammar): string {
  return alternatives(
    tools.map((tool) => {
      const header = `${builder.literal(`${channel}commentary to=functions.${tool.name}`)} (" "? ${builder.literal("<|constrain|>json")})?`;
      return builder.rule(`${header} ${builder.literal(message)} ${schema(tool, argumentsSchema(tool), "")}`, "call");
    }),
  );
}

// Calls are read with the messages that they are.
function* readNothing(scanner: Scanner, _calls: CallReader): Reading<void> {
  yield* scanner.space();
}

const maxHeaderLength = 512;
const bodyEnds = new Markers(ends);

function* readMessages(scanner: Scanner, sink: PartSink, openChannel: string | null): Reading<void> {
  let inChannel = openChannel;
  while (true) {
    if (inChannel === null) {
      const opening = yield* scanner.oneOf([channel, start, " to="]);
      const rest = opening === "" ? null : yield* scanner.wordBefore([message], maxHeaderLength);
      const header = scanner.takeUnsettled();
      if (rest === null) {
        sink.text(header);
        if ((yield* scanner.until(bodyEnds, (text) => sink.text(text))) === null) return;
        yield* scanner.oneOf(ends);
        scanner.settle();
        continue;
      }
      yield* scanner.literal(message);
      scanner.settle();
      inChannel = channelOf(header);
      const name = /to=functions\.([^\s<]+)/u.exec(header)?.[1];
      if (name !== undefined && sink.tools.has(name)) {
        yield* scanner.space();
        scanner.settle();
        sink.begin(name, null);
        yield* scanner.jsonValue((text) => sink.pass(text));
        yield* scanner.until(bodyEnds, (text) => {
          if (text.trim() !== "") sink.text(text);
        });
        inChannel = "";
      }
    }
    if (inChannel === "analysis") yield* readThinking(end, scanner, sink);
    else if (inChannel !== "") yield* scanner.until(bodyEnds, (text) => sink.text(text));
    sink.isThinking = false;
    yield* scanner.oneOf(ends);
    scanner.settle();
    inChannel = null;
    if ((yield* scanner.peek()) === "") return;
  }
}

function channelOf(header: string): string {
  return /(?:.*)<\|channel\|>([a-z]+)/su.exec(header)?.[1] ?? "final";
}

function write({ name, arguments: json }: ToolCall): string {
  return `${channel}commentary to=functions.${name} <|constrain|>json${message}${json}`;
}
