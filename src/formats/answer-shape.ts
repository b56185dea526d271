// The order of an answer's parts, as grammar and as reader of one thing: thinking, text, calls. May import its neighbours,
// engine/ and grammar/ (types).
import type { ToolDefinition } from "../engine/engine.ts";
import type { GrammarBuilder } from "../grammar/grammar-builder.ts";
import type { CallGrammar, CallSyntax } from "./call-syntax.ts";
import { Markers, type Reading, type Scanner } from "./scanner.ts";
import { type Thinking, thinkingEndText } from "./thinking.ts";

/** Where an answer's parts go as they are read. */
export interface PartSink {
  readonly tools: ReadonlyMap<string, ToolDefinition>;
  isThinking: boolean;
  text(text: string): void;
  reasoning(text: string): void;
  /** A call begins. Null: the text gives no id. */
  begin(name: string, id: string | null): void;
  /** A piece of its arguments. */
  pass(text: string): void;
}

/** What the visible part of an answer is to be. */
export interface AnswerContent {
  readonly builder: GrammarBuilder;
  /** At least one tool, to choose from; null: no calls. */
  readonly calls: (Pick<CallGrammar, "tools" | "parallel" | "schema"> & { readonly mustCall: boolean }) | null;
  /** The rule of what is written where there is no call. Null: any text. */
  readonly output: string | null;
}

export interface AnswerShape {
  readonly preservedTokens: readonly string[];
  readonly thinkingEnd: string | null;
  /** GBNF of the whole text; of what follows `thinkingEnd`, where thinking has been ended. */
  grammar(content: AnswerContent, isThinkingEnded: boolean): string;
  read(scanner: Scanner, sink: PartSink): Reading<void>;
}

export interface PlainShapeOptions {
  readonly thinking: Thinking | null;
  /** Null: no calls are looked for. */
  readonly calls: CallSyntax | null;
  readonly content: { readonly start: string; readonly end: string } | null;
  readonly preservedTokens: readonly string[];
}

/** Thinking, then text, then calls, one after the other; each may be missing. */
export function plainShape(options: PlainShapeOptions): AnswerShape {
  const { thinking } = options;
  return {
    preservedTokens: [
      ...new Set([
        ...options.preservedTokens,
        ...(options.calls?.preservedTokens ?? []),
        ...(thinking === null
          ? []
          : [thinking.start, thinking.end].flatMap((mark) => [mark, ...(mark.match(/<[^<>]+>/gu) ?? [])])),
      ]),
    ],
    thinkingEnd: thinking === null ? null : thinkingEndText(thinking),
    grammar: (content, isThinkingEnded) => plainGrammar(options, content, isThinkingEnded),
    read: (scanner, sink) => readPlain(options, scanner, sink),
  };
}

/** White space inside calls. */
const callSpace = '(" " | "\\n" [ \\t]{0,20})?';
/** White space around an answer's parts: bounded, or a model could write it for ever. */
const gap = "[ \\n]{0,4}";

function plainGrammar(options: PlainShapeOptions, content: AnswerContent, isThinkingEnded: boolean): string {
  const { builder, calls, output } = content;
  const thinking = isThinkingEnded ? null : options.thinking;
  const called = calls === null || options.calls === null ? null : callsGrammar(options.calls, content, calls);
  const visible = [
    ...(called !== null && (calls?.mustCall === true || output !== null) ? [called] : []),
    ...(output !== null && calls?.mustCall !== true ? [wrapped(options, builder, output)] : []),
  ];
  if (visible.length === 0 && called !== null) visible.push(textThenCalls(options, builder, called, thinking));
  const answer = `(${visible.join(" | ")})`;
  if (thinking === null) return answer;
  const thought = `${builder.textWithout([thinking.end])} ${builder.literal(thinking.end)}`;
  // What the caller's format says is exact: white space belongs to the thinking before it, and where none was to nothing.
  return thinking.isOpen
    ? `${thought} ${gap} ${answer}`
    : `(${gap} ${builder.literal(thinking.start)} ${thought} ${gap})? ${answer}`;
}

function callsGrammar(
  syntax: CallSyntax,
  { builder }: AnswerContent,
  { tools, parallel, schema }: Pick<CallGrammar, "tools" | "parallel" | "schema">,
): string {
  const body = syntax.grammar({
    builder,
    tools,
    parallel: parallel && syntax.allowsSeveral,
    schema,
    space: builder.rule(callSpace, "space"),
  });
  return builder.rule(body, "tool-calls");
}

function wrapped({ content }: PlainShapeOptions, builder: GrammarBuilder, body: string): string {
  return content === null ? body : `${builder.literal(content.start)} ${body} ${builder.literal(content.end)}`;
}

// Text that holds no marker, then perhaps calls.
function textThenCalls(
  options: PlainShapeOptions,
  builder: GrammarBuilder,
  called: string,
  thinking: Thinking | null,
): string {
  const { calls, content } = options;
  const marks = [
    ...(calls?.markers ?? []),
    ...(content === null ? [] : [content.start, content.end]),
    ...(thinking === null || thinking.isOpen ? [] : [thinking.start]),
  ];
  const text = marks.length === 0 ? builder.rule("[^\\x00]*", "text") : builder.textWithout(marks);
  if (calls?.startsWithBrace === true) {
    // Text begins with anything but the brace of a call, and not with what may become a marker.
    return `(${gap} ${called} | ([^{< \\t\\r\\n] ${text} | "<" [^|<] ${text})?)`;
  }
  const said = content === null ? text : `(${gap} ${wrapped(options, builder, text)} ${gap} | ${text})`;
  return `${said} ${called}?`;
}

function* readPlain(options: PlainShapeOptions, scanner: Scanner, sink: PartSink): Reading<void> {
  const { thinking, content } = options;
  const calls = sink.tools.size === 0 ? null : options.calls;
  if (thinking === null && calls === null && content === null) {
    yield* scanner.until(new Markers([]), (text) => sink.text(text));
    return;
  }
  // White space counts as text only where text follows; in front of all else it is a part of the form.
  let pending = "";
  // Something of the form came last: white space that nothing follows is none of the text's.
  let isAfterForm = false;
  if (thinking !== null) {
    if (!thinking.isOpen) pending = yield* scanner.space();
    if (thinking.isOpen || (yield* scanner.literal(thinking.start))) {
      yield* readThinking(thinking.end, scanner, sink);
      pending = "";
      isAfterForm = true;
      yield* scanner.space();
    }
    scanner.settle();
  }
  const say = (text: string) => {
    if (text === "") return;
    sink.text(pending + text);
    pending = "";
    isAfterForm = false;
  };
  const markers = new Markers([...(calls?.markers ?? []), ...(content === null ? [] : [content.start, content.end])]);
  let mayBrace = calls?.startsWithBrace ?? false;
  while (true) {
    pending += yield* scanner.space();
    scanner.settle();
    if (mayBrace && (yield* scanner.peek()) === "{" && calls !== null) {
      yield* readCalls();
    }
    mayBrace = false;
    const marker = yield* scanner.until(markers, say);
    if (marker === null) break;
    if (marker === content?.start || marker === content?.end) {
      yield* scanner.literal(marker);
      scanner.settle();
      if (marker === content?.start) pending = "";
      isAfterForm = true;
    } else {
      yield* readCalls();
    }
  }
  if (!isAfterForm && pending !== "") sink.text(pending);

  function* readCalls(): Reading<void> {
    if (calls === null) return;
    let hasCalled = false;
    yield* calls.read(scanner, {
      tools: sink.tools,
      begin: (name, id) => {
        hasCalled = true;
        pending = "";
        isAfterForm = true;
        sink.begin(name, id);
      },
      pass: (text) => sink.pass(text),
    });
    const rest = scanner.takeUnsettled();
    if (hasCalled && rest.trim() === "") pending = rest;
    else say(rest);
  }
}

/** Up to the end mark, without the white space at both ends. */
export function* readThinking(end: string, scanner: Scanner, sink: PartSink): Reading<void> {
  sink.isThinking = true;
  yield* scanner.space();
  scanner.settle();
  let held = "";
  yield* scanner.until(new Markers([end]), (text) => {
    const kept = text.trimEnd();
    if (kept === "") {
      held += text;
      return;
    }
    sink.reasoning(held + kept);
    held = text.slice(kept.length);
  });
  if (yield* scanner.literal(end)) sink.isThinking = false;
  scanner.settle();
}
