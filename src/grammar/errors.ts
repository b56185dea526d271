// Why a grammar or a schema cannot be used. Imports nothing. Whoever knows the request's field turns them into a 400.

/** A GBNF text that is refused. */
export class GrammarError extends Error {
  /** From 1; 0 where the whole grammar is at fault. */
  readonly line: number;
  /** From 1, in UTF-16 units; 0 where the whole grammar is at fault. */
  readonly column: number;

  /** `message`: what arrived and what is allowed, without the place. */
  constructor(message: string, line: number, column: number) {
    super(line === 0 ? message : `line ${line}, column ${column}: ${message}`);
    this.name = "GrammarError";
    this.line = line;
    this.column = column;
  }
}

/** A JSON Schema that is refused: no grammar could hold it, or not within the bounds. */
export class SchemaError extends Error {
  /** Where in the schema: `properties.a.items`; "" is the schema itself. */
  readonly path: string;
  /** The keyword at fault, `""` where it is the schema as a whole. */
  readonly keyword: string;

  /** `reason`: what arrived and what is allowed, without the place. */
  constructor(path: string, keyword: string, reason: string) {
    const place = [path, keyword].filter((part) => part !== "").join(".");
    super(place === "" ? reason : `${place}: ${reason}`);
    this.name = "SchemaError";
    this.path = path;
    this.keyword = keyword;
  }
}
