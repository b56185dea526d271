// How a query and a document are put together for a reranker: by the file's own template, else between the tokens that its
// vocabulary frames texts with. As llama-server does it, but that special tokens which a caller typed stay text.
// May import prompt-renderer.ts, prompt-vocabulary.ts (types) and engine.ts (types).
import type { LlamaModel } from "node-llama-cpp";
import type { Token } from "../engine.ts";
import type { PromptRenderer } from "./prompt-renderer.ts";
import { vocabularyOf } from "./prompt-vocabulary.ts";

export type PairWriter = (query: string, document: string) => Token[];

/** Throws an Error of one line where the file does not say how. */
export function pairWriter(model: LlamaModel, template: string | null, renderer: PromptRenderer): PairWriter {
  return template === null ? framed(model, renderer) : templated(template, renderer);
}

function templated(template: string, renderer: PromptRenderer): PairWriter {
  const pieces = template.split(/(\{query\}|\{document\})/u);
  if (!pieces.includes("{query}") || !pieces.includes("{document}")) {
    throw new Error("its template for reranking (tokenizer.chat_template.rerank) lacks {query} or {document}");
  }
  return (query, document) =>
    renderer.join(
      pieces.map((text) => {
        if (text === "{query}") return { text: query, isTyped: true };
        return text === "{document}" ? { text: document, isTyped: true } : { text, isTyped: false };
      }),
    );
}

/** BOS query EOS SEP document EOS, of the marks those that the vocabulary asks for. */
function framed(model: LlamaModel, renderer: PromptRenderer): PairWriter {
  const { bos, eos, separator, addsBos, addsEos } = vocabularyOf(model);
  const present = (token: Token | null, isWanted: boolean) => (token !== null && isWanted ? [token] : []);
  const end = present(eos ?? separator, addsEos);
  const start = present(bos, addsBos);
  const between = [...end, ...present(separator, addsSeparator(model))];
  if (between.length === 0) throw new Error("its vocabulary has nothing to put between a query and a document");
  const typed = (text: string) => renderer.tokenize(text, { parseSpecial: false, addSpecial: false });
  return (query, document) => start.concat(typed(query), between, typed(document), end);
}

/** Pre-tokenizers of a kind that, like WordPiece, separates texts unless the file says otherwise. */
const separating = ["jina-v1-en", "jina-v2-code", "roberta-bpe"];

function addsSeparator(model: LlamaModel): boolean {
  const metadata = model.fileInfo.metadata.tokenizer?.ggml as unknown as Record<string, unknown> | undefined;
  const stated = metadata?.["add_sep_token"];
  if (typeof stated === "boolean") return stated;
  return metadata?.["model"] === "bert" || separating.includes(String(metadata?.["pre"]));
}
