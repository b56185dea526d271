// Regular expressions of ECMA-262 (as JSON Schema's `pattern` has them) as automata. Imports grammar/ only.
import {
  type Automaton,
  AutomatonTooLargeError,
  type Condition,
  determinize,
  maxAutomatonStates,
  type NfaState,
  type WorkBudget,
} from "./automaton.ts";
import {
  type CodePointSet,
  complementOf,
  differenceOf,
  everyCharacter,
  intersectionOf,
  setOf,
  unionOf,
} from "./code-points.ts";

export const maxPatternCharacters = 2_000;
const maxDepth = 100;
const maxNfaStates = 20_000;

/** `message`: what of the pattern is not supported, and what is. */
export class PatternError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "PatternError";
  }
}

/** What the pattern matches anywhere in: unless it is anchored, more may stand around it. Throws PatternError. */
export function patternAutomaton(pattern: string, budget: WorkBudget = { left: Infinity }): Automaton {
  if (pattern.length > maxPatternCharacters) {
    throw new PatternError(`has ${pattern.length} characters; up to ${maxPatternCharacters} are allowed`);
  }
  if (!isRegularExpression(pattern)) throw new PatternError("is not a regular expression of ECMA-262");
  try {
    return determinize(new NfaBuilder(new PatternReader(pattern).read()).states, budget);
  } catch (error) {
    if (!(error instanceof AutomatonTooLargeError)) throw error;
    throw new PatternError(
      `is too large: it needs more than ${maxAutomatonStates} states; anchor it with ^ and $, or repeat less`,
    );
  }
}

function isRegularExpression(pattern: string): boolean {
  for (const flags of ["u", ""]) {
    try {
      // oxlint-disable-next-line no-new -- whether it can be made is the question
      new RegExp(pattern, flags);
      return true;
    } catch {
      // Escapes that the `u` flag forbids are common; the next attempt is without it.
    }
  }
  return false;
}

type Node =
  | { readonly type: "set"; readonly set: CodePointSet }
  | { readonly type: "condition"; readonly condition: Condition }
  | { readonly type: "sequence"; readonly nodes: readonly Node[] }
  | { readonly type: "choice"; readonly nodes: readonly Node[] }
  | { readonly type: "repeat"; readonly node: Node; readonly min: number; readonly max: number };

const digits = setOf("0123456789");
const wordSigns = unionOf([...digits, [0x41, 0x5a], [0x61, 0x7a], [0x5f, 0x5f]]);
const spaces = unionOf([...setOf("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"), [0x2000, 0x200a]]);
const lineEnds = setOf("\n\r\u2028\u2029");

class PatternReader {
  readonly #signs: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#signs = Array.from(pattern);
  }

  read(): Node {
    const node = this.#readChoice(0);
    if (this.#at < this.#signs.length) throw new PatternError(`has ${JSON.stringify(this.#signs[this.#at])} too much`);
    return node;
  }

  #readChoice(depth: number): Node {
    if (depth > maxDepth) throw new PatternError(`has groups nested more than ${maxDepth} deep`);
    const nodes = [this.#readSequence(depth)];
    while (this.#take("|")) nodes.push(this.#readSequence(depth));
    return nodes.length === 1 ? (nodes[0] as Node) : { type: "choice", nodes };
  }

  #readSequence(depth: number): Node {
    const nodes: Node[] = [];
    for (;;) {
      const next = this.#signs[this.#at];
      if (next === undefined || next === "|" || next === ")") return { type: "sequence", nodes };
      const node = this.#readAtom(depth);
      nodes.push(this.#readQuantifier(node));
    }
  }

  #readAtom(depth: number): Node {
    const sign = this.#signs[this.#at] as string;
    this.#at += 1;
    switch (sign) {
      case "^":
        return { type: "condition", condition: "start" };
      case "$":
        return { type: "condition", condition: "end" };
      case ".":
        return { type: "set", set: complementOf(lineEnds) };
      case "(":
        return this.#readGroup(depth);
      case "[":
        return { type: "set", set: this.#readClass() };
      case "\\":
        return { type: "set", set: this.#readEscape(false) };
      default:
        return { type: "set", set: setOf(sign) };
    }
  }

  #readGroup(depth: number): Node {
    if (this.#take("?")) {
      const rest = this.#signs.slice(this.#at, this.#at + 2).join("");
      if (/^<?[=!]/.test(rest))
        throw new PatternError("has a lookaround ((?=, (?!, (?<=, (?<!), which is not supported");
      if (rest.startsWith("<")) {
        while (!this.#take(">")) this.#at += 1;
      } else if (!this.#take(":")) throw new PatternError("has flags in a group, which are not supported");
    }
    const node = this.#readChoice(depth + 1);
    this.#take(")");
    return node;
  }

  #readQuantifier(node: Node): Node {
    const sign = this.#signs[this.#at];
    let range: { min: number; max: number };
    if (sign === "*") range = { min: 0, max: Infinity };
    else if (sign === "+") range = { min: 1, max: Infinity };
    else if (sign === "?") range = { min: 0, max: 1 };
    else {
      const braces =
        sign === "{" ? /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(this.#signs.slice(this.#at, this.#at + 24).join("")) : null;
      if (braces === null) return node;
      const min = Number(braces[1]);
      range = { min, max: braces[2] === undefined ? min : braces[3] === "" ? Infinity : Number(braces[3]) };
      this.#at += braces[0].length - 1;
    }
    this.#at += 1;
    // A lazy quantifier accepts the same texts.
    this.#take("?");
    return { type: "repeat", node, ...range };
  }

  #readClass(): CodePointSet {
    const isNegated = this.#take("^");
    const ranges: (readonly [number, number])[] = [];
    while (!this.#take("]")) {
      const low = this.#readClassMember();
      const isRange = this.#signs[this.#at] === "-" && this.#signs[this.#at + 1] !== "]";
      if (!isRange || low.length !== 1 || low[0]?.[0] !== low[0]?.[1]) {
        ranges.push(...low);
        continue;
      }
      this.#at += 1;
      const high = this.#readClassMember();
      if (high.length === 1 && high[0] !== undefined && high[0][0] === high[0][1]) {
        ranges.push([(low[0] as readonly [number, number])[0], high[0][0]]);
      } else ranges.push(...low, ...setOf("-"), ...high);
    }
    return differenceOf(isNegated ? complementOf(unionOf(ranges)) : unionOf(ranges), [[0xd800, 0xdfff]]);
  }

  #readClassMember(): CodePointSet {
    const sign = this.#signs[this.#at] as string;
    this.#at += 1;
    return sign === "\\" ? this.#readEscape(true) : setOf(sign);
  }

  #readEscape(isInClass: boolean): CodePointSet {
    const sign = this.#signs[this.#at] as string;
    this.#at += 1;
    switch (sign) {
      case "d":
        return digits;
      case "D":
        return complementOf(digits);
      case "w":
        return wordSigns;
      case "W":
        return complementOf(wordSigns);
      case "s":
        return spaces;
      case "S":
        return complementOf(spaces);
      case "t":
        return setOf("\t");
      case "n":
        return setOf("\n");
      case "r":
        return setOf("\r");
      case "v":
        return setOf("\v");
      case "f":
        return setOf("\f");
      case "x":
        return this.#readHex(/^[0-9a-fA-F]{2}/);
      case "u":
        return this.#readUnicode();
      case "c": {
        const letter = (this.#signs[this.#at] as string).charCodeAt(0) % 32;
        this.#at += 1;
        return [[letter, letter]];
      }
      case "p":
      case "P":
        throw new PatternError("has a Unicode property (\\p), which is not supported; name the characters");
      case "b":
        if (isInClass) return setOf("\b");
        throw new PatternError("has a word boundary (\\b), which is not supported");
      case "B":
        throw new PatternError("has a word boundary (\\B), which is not supported");
      case "0":
        if (!/[0-9]/.test(this.#signs[this.#at] ?? "")) return [[0, 0]];
        throw new PatternError("has an octal escape, which is not supported");
      default:
        if (/[1-9k]/.test(sign)) throw new PatternError(`has a backreference (\\${sign}), which is not supported`);
        return setOf(sign);
    }
  }

  #readUnicode(): CodePointSet {
    const braces = /^\{([0-9a-fA-F]+)\}/.exec(this.#signs.slice(this.#at, this.#at + 16).join(""));
    if (braces !== null) {
      this.#at += braces[0].length;
      const codePoint = Number.parseInt(braces[1] as string, 16);
      return [[codePoint, codePoint]];
    }
    const first = this.#readHex(/^[0-9a-fA-F]{4}/);
    const high = first[0]?.[0] ?? 0;
    const pair = /^\\u([dD][c-fC-F][0-9a-fA-F]{2})/.exec(this.#signs.slice(this.#at, this.#at + 6).join(""));
    if (high < 0xd800 || high > 0xdbff || pair === null) return first;
    this.#at += 6;
    const codePoint = 0x10000 + ((high - 0xd800) << 10) + (Number.parseInt(pair[1] as string, 16) - 0xdc00);
    return [[codePoint, codePoint]];
  }

  #readHex(form: RegExp): CodePointSet {
    const hex = form.exec(this.#signs.slice(this.#at, this.#at + 4).join(""))?.[0];
    if (hex === undefined) throw new PatternError("has an incomplete \\x or \\u escape");
    this.#at += hex.length;
    const codePoint = Number.parseInt(hex, 16);
    return [[codePoint, codePoint]];
  }

  #take(sign: string): boolean {
    if (this.#signs[this.#at] !== sign) return false;
    this.#at += 1;
    return true;
  }
}

/** Thompson's construction, with any text allowed before and after. */
class NfaBuilder {
  readonly states: NfaState[] = [];

  constructor(node: Node) {
    const start = this.#add();
    const end = this.#add();
    this.#edge(start, everyCharacter, start);
    this.#edge(end, everyCharacter, end);
    this.#jump(this.#append(node, start), end);
  }

  /** Adds what leads from `from` through the node; returns where it ends. */
  #append(node: Node, from: number): number {
    switch (node.type) {
      case "set": {
        const to = this.#add();
        this.#edge(from, node.set, to);
        return to;
      }
      case "condition": {
        const to = this.#add();
        this.#jump(from, to, node.condition);
        return to;
      }
      case "sequence":
        return node.nodes.reduce((at, next) => this.#append(next, at), from);
      case "choice": {
        const to = this.#add();
        for (const next of node.nodes) {
          // Each in a state of its own, or a repetition at its start would lead into the others.
          const start = this.#add();
          this.#jump(from, start);
          this.#jump(this.#append(next, start), to);
        }
        return to;
      }
      case "repeat":
        return this.#appendRepeated(node.node, node.min, node.max, from);
    }
  }

  #appendRepeated(node: Node, min: number, max: number, from: number): number {
    let at = from;
    for (let times = 0; times < min; times += 1) {
      const next = this.#append(node, at);
      // Nothing is repeated.
      if (next === at) return at;
      at = next;
    }
    if (max === Infinity) {
      const loop = this.#add();
      this.#jump(at, loop);
      this.#jump(this.#append(node, loop), loop);
      return loop;
    }
    if (max === min) return at;
    const end = this.#add();
    for (let times = min; times < max; times += 1) {
      this.#jump(at, end);
      const next = this.#append(node, at);
      if (next === at) break;
      at = next;
    }
    this.#jump(at, end);
    return end;
  }

  #add(): number {
    if (this.states.length >= maxNfaStates) throw new AutomatonTooLargeError();
    return this.states.push({ edges: [], jumps: [] }) - 1;
  }

  #edge(from: number, set: CodePointSet, target: number): void {
    const characters = intersectionOf(set, everyCharacter);
    if (characters.length > 0) this.states[from]?.edges.push({ set: characters, target });
  }

  #jump(from: number, target: number, condition: Condition = "always"): void {
    this.states[from]?.jumps.push({ target, condition });
  }
}
