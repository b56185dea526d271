// More than two hundred ways in which a GGUF file can lie or be damaged, each by name and the same in every run.
import { RandomStream } from "../../tools/synthesize/random.ts";
import {
  arrayOf,
  entryOf,
  float32,
  type GgufParts,
  headerOf,
  putTogether,
  setEntry,
  takeApart,
  tensorData,
  tensorOf,
  text,
  uint32,
  uint64,
  valueTypes,
} from "../support/gguf-bytes.ts";

export interface Mutation {
  readonly name: string;
  bytes(): Buffer;
}

const { string, array, bool } = valueTypes;
const largest32 = 2 ** 32 - 1;
const largest64 = 2n ** 64n - 1n;

/** `bpe` and `sentencePiece` are whole files with that kind of vocabulary. */
export function mutationsOf(bpe: Buffer, sentencePiece: Buffer): Mutation[] {
  const mutations: Mutation[] = [];
  /** Changes the parts of a fresh copy; what it returns takes the place of the whole file. */
  const add = (name: string, change: (parts: GgufParts) => Buffer | void, base = bpe) => {
    mutations.push({
      name,
      bytes: () => {
        const parts = takeApart(base);
        return change(parts) ?? putTogether(parts);
      },
    });
  };
  const parts = takeApart(bpe);
  const header = headerOf(parts);
  const matrix = "blk.0.attn_q.weight";
  const norm = "output_norm.weight";

  // The file as a whole.
  for (const length of [0, 3, 4, 8, 23, 24, 25, 100, 5000, Math.floor(header.length / 2), header.length - 40]) {
    add(`cut to ${length} bytes`, () => bpe.subarray(0, length));
  }
  for (const more of [0, 1, 32, 4096, 500_000, parts.data.length - 1, parts.data.length - 33]) {
    add(`cut ${more} bytes into the tensors`, () => bpe.subarray(0, header.length + more));
  }
  for (const magic of ["GGML", "ggjt", "FUGG", "\0\0\0\0", "<!DO"]) {
    add(`magic ${JSON.stringify(magic)}`, (changed) => void (changed.magic = Buffer.from(magic)));
  }
  for (const version of [0, 1, 2, 4, 0x03000000, largest32]) {
    add(`version ${version}`, (changed) => void (changed.version = version));
  }
  for (const count of [0n, 1n, 37n, 2n ** 31n, 2n ** 62n, largest64]) {
    add(`${count} tensors`, (changed) => void (changed.tensorCount = count));
    add(`${count} keys`, (changed) => void (changed.keyCount = count));
  }
  add("one tensor more than there is", (changed) => void (changed.tensorCount = BigInt(parts.tensors.length + 1)));
  add("one key fewer than there is", (changed) => void (changed.keyCount = BigInt(parts.entries.length - 1)));
  add("all zeros", () => Buffer.alloc(bpe.length));
  add("a web page", () => Buffer.from("<!DOCTYPE html><html><body>404 Not Found</body></html>".repeat(20)));

  // Tensors.
  for (const offset of [1n, 31n, 33n, 1000n, 2n ** 20n, 2n ** 32n, 2n ** 62n, 2n ** 63n, largest64, largest64 - 31n]) {
    add(`offset ${offset}`, (changed) => void (tensorOf(changed, matrix).offset = offset));
  }
  add("all tensors at offset 0", (changed) => changed.tensors.forEach((tensor) => void (tensor.offset = 0n)));
  for (const type of [...Array(46).keys(), 99, 2 ** 31, largest32]) {
    add(`type ${type} of a matrix`, (changed) => void (tensorOf(changed, matrix).type = type));
  }
  for (const type of [1, 2, 8, 24, 30]) {
    add(`type ${type} of a norm`, (changed) => void (tensorOf(changed, norm).type = type));
    add(`type ${type} of a bias`, (changed) => void (tensorOf(changed, "blk.0.attn_q.bias").type = type));
  }
  const shapes: bigint[][] = [
    [0n, 0n],
    [256n, 0n],
    [256n],
    [1n, 65_536n],
    [65_536n, 1n],
    [255n, 256n],
    [256n, 255n],
    [256n, 257n],
    [2n ** 32n, 2n ** 32n],
    [2n ** 62n, 2n],
    [2n ** 63n, 2n],
    [largest64, largest64],
    [16n, 16n, 16n, 16n],
    [2n, 2n, 2n, 2n, 2n],
    [],
  ];
  for (const dimensions of shapes) {
    add(`a matrix of ${dimensions.join(" × ")}`, (changed) => void (tensorOf(changed, matrix).dimensions = dimensions));
  }
  add("embeddings of one row", (changed) => void (tensorOf(changed, "token_embd.weight").dimensions = [256n, 1n]));
  add("a norm of two dimensions", (changed) => void (tensorOf(changed, norm).dimensions = [128n, 2n]));
  add("two tensors of one name", (changed) => void (tensorOf(changed, norm).name = Buffer.from(matrix)));
  for (const name of ["", "x".repeat(63), "x".repeat(64), "x".repeat(5000), "a\0b", "\u00ff\ud800"]) {
    add(`a tensor named ${JSON.stringify(name.slice(0, 8))}, ${name.length} long`, (changed) => {
      tensorOf(changed, norm).name = Buffer.from(name);
    });
  }
  add("a tensor too many", (changed) => {
    changed.tensors.push({ name: Buffer.from("extra.weight"), dimensions: [32n], type: 0, offset: 0n });
  });
  add("a tensor too few", (changed) => void changed.tensors.pop());
  add("rotary factors of odd length", (changed) => {
    changed.tensors.push({ name: Buffer.from("rope_freqs.weight"), dimensions: [7n], type: 0, offset: 0n });
  });

  // Alignment.
  for (const alignment of [0, 1, 3, 7, 16, 64, 2 ** 20, 2 ** 31]) {
    add(`alignment ${alignment}`, (changed) =>
      setEntry(changed, "general.alignment", valueTypes.uint32, uint32(alignment)),
    );
  }
  add("alignment 1, tensors at odd addresses", (changed) => {
    setEntry(changed, "general.alignment", valueTypes.uint32, uint32(1));
    changed.alignment = 1;
    setEntry(changed, "general.odd", string, text(headerOf(changed).length % 2 === 0 ? "even" : "odd"));
  });
  add("alignment as text", (changed) => setEntry(changed, "general.alignment", string, text("32")));

  // Metadata: lengths, types, values.
  for (const length of [2n ** 16n, 2n ** 31n, 2n ** 40n, 2n ** 63n, largest64]) {
    add(`a text of ${length} bytes`, (changed) => void uint64(length).copy(entryOf(changed, "general.name").value));
  }
  add("an empty key", (changed) => void (entryOf(changed, "general.name").key = Buffer.alloc(0)));
  add(
    "a key of 100000 characters",
    (changed) => void (entryOf(changed, "general.name").key = Buffer.alloc(100_000, "k")),
  );
  add(
    "a key that is no UTF-8",
    (changed) => void (entryOf(changed, "general.name").key = Buffer.from([0xff, 0xfe, 0])),
  );
  add("a key twice", (changed) => void changed.entries.push(entryOf(changed, "general.architecture")));
  add("a key named __proto__", (changed) => setEntry(changed, "__proto__.polluted", string, text("yes")));
  for (const key of parts.entries.map((entry) => entry.key.toString())) {
    if (/^general\.(type|name|file_type|quant)/.test(key)) continue;
    add(`${key} left out`, (changed) => {
      changed.entries = changed.entries.filter((entry) => entry.key.toString() !== key);
    });
    const { type } = entryOf(parts, key);
    if (type !== string) add(`${key} as text`, (changed) => setEntry(changed, key, string, text("256")));
    else add(`${key} as a number`, (changed) => setEntry(changed, key, valueTypes.uint32, uint32(256)));
    if (type === valueTypes.uint32) {
      // Nearly every other value of these ends a process: one is enough, each costs a new process.
      const isFragile = /(key|value|feed_forward)_length|dimension_count/.test(key);
      for (const value of isFragile ? [7] : [0, 1, 2 ** 31, largest32]) {
        add(`${key} = ${value}`, (changed) => void (entryOf(changed, key).value = uint32(value)));
      }
    }
    if (type === valueTypes.float32) {
      for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e38]) {
        add(`${key} = ${value}`, (changed) => void (entryOf(changed, key).value = float32(value)));
      }
    }
  }
  add("heads listed layer by layer, too few", (changed) => {
    setEntry(changed, "qwen2.attention.head_count", array, arrayOf(valueTypes.uint32, [uint32(4)]));
  });
  add("heads listed layer by layer, none", (changed) => {
    setEntry(changed, "qwen2.attention.head_count_kv", array, arrayOf(valueTypes.uint32, [uint32(0), uint32(0)]));
  });
  for (const name of ["llama", "gemma3", "bert", "mamba", "t5", "clip", "nonsense", "", "qwen2\0"]) {
    add(`architecture ${JSON.stringify(name)}`, (changed) =>
      setEntry(changed, "general.architecture", string, text(name)),
    );
  }
  for (const [key, value] of [
    ["split.count", 3],
    ["qwen2.expert_count", 8],
    ["qwen2.attention.sliding_window", largest32],
    ["qwen2.rope.scaling.original_context_length", 0],
    ["qwen2.pooling_type", 77],
    ["qwen2.leading_dense_block_count", largest32],
  ] as const) {
    add(`${key} = ${value}`, (changed) => setEntry(changed, key, valueTypes.uint32, uint32(value)));
  }
  add("an array of arrays of arrays", (changed) => {
    let value = arrayOf(valueTypes.uint8, [Buffer.of(1)]);
    for (let depth = 0; depth < 50; depth++) value = arrayOf(array, [value]);
    setEntry(changed, "general.tags", array, value);
  });
  add("an array of 2^40 numbers", (changed) => setEntry(changed, "x.y", array, arrayOf(valueTypes.uint8, [], 2 ** 40)));
  add("20000 keys", (changed) => {
    for (let index = 0; index < 20_000; index++) {
      changed.entries.push({ key: Buffer.from(`k${index}`), type: bool, value: Buffer.of(1) });
    }
  });

  // Vocabulary.
  const tokensKey = "tokenizer.ggml.tokens";
  const vocabulary = (name: string, tokens: readonly (string | Buffer)[], base = bpe) => {
    add(
      `vocabulary: ${name}`,
      (changed) => setEntry(changed, tokensKey, array, arrayOf(string, tokens.map(text))),
      base,
    );
  };
  const size = 2048;
  vocabulary("empty", []);
  vocabulary("of one token", ["a"]);
  vocabulary(
    "all empty",
    Array.from({ length: size }, () => ""),
  );
  vocabulary(
    "all the same",
    Array.from({ length: size }, () => "same"),
  );
  vocabulary(
    "all the same, SentencePiece",
    Array.from({ length: size }, () => "same"),
    sentencePiece,
  );
  vocabulary(
    "all empty, SentencePiece",
    Array.from({ length: size }, () => ""),
    sentencePiece,
  );
  vocabulary(
    "no bytes, SentencePiece",
    Array.from({ length: size }, (_, index) => `t${index}`),
    sentencePiece,
  );
  vocabulary(
    "no UTF-8",
    Array.from({ length: size }, (_, index) => Buffer.from([0xff, 0x80, index & 0xff, index >> 8])),
  );
  vocabulary("one token of 4 MB", [
    "y".repeat(4 * 2 ** 20),
    ...Array.from({ length: size - 1 }, (_, index) => `t${index}`),
  ]);
  vocabulary(
    "three million empty tokens",
    Array.from({ length: 3_000_000 }, () => ""),
  );
  vocabulary(
    "a hundred thousand tokens",
    Array.from({ length: 100_000 }, (_, index) => `t${index}`),
  );
  add("vocabulary of numbers", (changed) => {
    setEntry(
      changed,
      tokensKey,
      array,
      arrayOf(
        valueTypes.uint32,
        Array.from({ length: size }, (_, index) => uint32(index)),
      ),
    );
  });
  for (const type of [0, 1, 2, 3, 4, 5, 6, 99]) {
    for (const [kind, base] of [
      ["", bpe],
      [", SentencePiece", sentencePiece],
    ] as const) {
      add(
        `every token of type ${type}${kind}`,
        (changed) => {
          const types = Array.from({ length: size }, () => uint32(type));
          setEntry(changed, "tokenizer.ggml.token_type", array, arrayOf(valueTypes.int32, types));
        },
        base,
      );
    }
  }
  add("three token types", (changed) => {
    setEntry(changed, "tokenizer.ggml.token_type", array, arrayOf(valueTypes.int32, [uint32(1), uint32(1), uint32(1)]));
  });
  for (const [name, scores] of [
    ["three scores", [0, 0, 0]],
    ["scores that are NaN", Array.from({ length: size }, () => Number.NaN)],
    ["scores that are infinite", Array.from({ length: size }, () => Number.POSITIVE_INFINITY)],
  ] as const) {
    const value = arrayOf(valueTypes.float32, scores.map(float32));
    add(name, (changed) => setEntry(changed, "tokenizer.ggml.scores", array, value), sentencePiece);
  }
  const merges = (name: string, list: readonly string[]) => {
    add(`merges: ${name}`, (changed) =>
      setEntry(changed, "tokenizer.ggml.merges", array, arrayOf(string, list.map(text))),
    );
  };
  merges("none", []);
  merges("empty ones", ["", "", ""]);
  merges("without a space", ["ab", "cd"]);
  merges("spaces alone", [" ", "  ", "   "]);
  merges("three words", ["a b c", "d e f"]);
  merges(
    "of what is no token",
    Array.from({ length: 500 }, (_, index) => `q${index} z${index}`),
  );
  merges(
    "a hundred thousand",
    Array.from({ length: 100_000 }, (_, index) => `q${index} z${index}`),
  );
  for (const model of ["llama", "bert", "t5", "rwkv", "plamo2", "none", "", "nonsense"]) {
    add(`tokenizer ${JSON.stringify(model)}`, (changed) =>
      setEntry(changed, "tokenizer.ggml.model", string, text(model)),
    );
  }
  for (const model of ["gpt2", "bert", "t5", "rwkv"]) {
    const change = (changed: GgufParts) => setEntry(changed, "tokenizer.ggml.model", string, text(model));
    add(`tokenizer ${model} over SentencePiece`, change, sentencePiece);
  }
  for (const pre of ["", "nonsense", "llama-bpe", "deepseek-llm", "chameleon", "tekken"]) {
    add(`pre-tokeniser ${JSON.stringify(pre)}`, (changed) =>
      setEntry(changed, "tokenizer.ggml.pre", string, text(pre)),
    );
  }
  add("precompiled character map of one byte", (changed) => {
    setEntry(changed, "tokenizer.ggml.model", string, text("t5"));
    setEntry(changed, "tokenizer.ggml.precompiled_charsmap", array, arrayOf(valueTypes.uint8, [Buffer.of(255)]));
  });

  // Chat templates.
  const template = (name: string, source: string) => {
    add(`template: ${name}`, (changed) => setEntry(changed, "tokenizer.chat_template", string, text(source)));
  };
  template("empty", "");
  template("without an end", "{% for m in messages %}{{ m.content");
  template("no UTF-8", "{{ '\ud800' }}");
  template("an exception", "{{ raise_exception('no') }}");
  template("an unknown filter", "{{ messages | nonsense }}");
  template("nested 400 deep", `{{ ${"(".repeat(400)}1${")".repeat(400)} }}`);
  template("nested 100000 deep", `{{ ${"[".repeat(100_000)}${"]".repeat(100_000)} }}`);
  template("blocks nested 5000 deep", `${"{% if true %}".repeat(5000)}x${"{% endif %}".repeat(5000)}`);
  template("a chain of 50000 additions", `{{ ${Array.from({ length: 50_000 }, () => "1").join("+")} }}`);
  template("a chain of 50000 negations", `{{ ${"not ".repeat(50_000)}true }}`);
  template("a macro that calls itself", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}");
  template("loops within loops", "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}");
  template(
    "a text that doubles 60 times",
    "{% set ns = namespace(t='x') %}{% for i in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}{{ ns.t }}",
  );
  template(
    "two megabytes of output",
    "{% for i in range(2000) %}{{ 'x' * 1000 }}xxxxxxxxxx{% endfor %}" + "y".repeat(1000),
  );
  template("a division by zero", "{{ 1 // 0 }}{{ 1 % 0 }}");
  template("an index far out", "{{ messages[99999999].content }}{{ 'x'[-5:99999999] }}");
  template("control tokens alone", "<|im_start|>".repeat(20_000));

  // Weights.
  const fill = (name: string, tensor: string, value: Buffer, base = bpe) => {
    add(`${tensor} full of ${name}`, (changed) => void tensorData(changed, tensor).fill(value), base);
  };
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e38, 0]) {
    fill(String(value), norm, float32(value));
    fill(String(value), "blk.0.attn_q.bias", float32(value));
    fill(String(value), "blk.1.ffn_norm.weight", float32(value), sentencePiece);
  }
  fill("ones", matrix, Buffer.of(0xff));
  fill("NaN", "output.weight", Buffer.of(0x7e), sentencePiece);
  fill("ones", "token_embd.weight", Buffer.of(0xff));
  fill("zeros", "token_embd.weight", Buffer.of(0));
  add("every weight of all ones", (changed) => void changed.data.fill(0xff));
  add("every weight NaN in half precision", (changed) => void changed.data.fill(Buffer.of(0, 0x7e)));
  add("every weight infinite in half precision", (changed) => void changed.data.fill(Buffer.of(0, 0x7c)));
  add("every weight zero", (changed) => void changed.data.fill(0));
  add("one NaN in a norm", (changed) => void float32(Number.NaN).copy(tensorData(changed, norm), 100));

  // Damage anywhere.
  const flip = (bytes: Buffer, start: number, end: number, flips: number, key: string): Buffer => {
    const random = new RandomStream(key);
    for (let count = 0; count < flips; count++) {
      const at = start + random.below(end - start);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    }
    return bytes;
  };
  const vocabularyStart = header.indexOf(tokensKey);
  const vocabularyEnd = header.indexOf("tokenizer.ggml.bos_token_id");
  for (let seed = 0; seed < 30; seed++) {
    const flips = 1 + (seed % 4);
    add(`${flips} bits flipped before the vocabulary, seed ${seed}`, () =>
      flip(Buffer.from(bpe), 0, vocabularyStart, flips, `a${seed}`),
    );
    add(`${flips} bits flipped behind the vocabulary, seed ${seed}`, () =>
      flip(Buffer.from(bpe), vocabularyEnd, header.length, flips, `b${seed}`),
    );
  }
  for (let seed = 0; seed < 15; seed++) {
    add(`20 bits flipped in the vocabulary, seed ${seed}`, () =>
      flip(Buffer.from(bpe), vocabularyStart + 60, vocabularyEnd, 20, `c${seed}`),
    );
    add(`1000 bits flipped in the weights, seed ${seed}`, () =>
      flip(Buffer.from(bpe), header.length, bpe.length, 1000, `d${seed}`),
    );
  }
  return mutations;
}
