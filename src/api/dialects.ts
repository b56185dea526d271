// All dialects that are served: a new one is a folder beside this file and a line in it. May import the folders' dialects.
import { adminDialect } from "./admin/dialect.ts";
import { anthropicDialect } from "./anthropic/dialect.ts";
import type { Dialect } from "./endpoint.ts";
import { llamaServerDialect } from "./llama-server/dialect.ts";
import { ollamaDialect } from "./ollama/dialect.ts";
import { openaiDialect } from "./openai/dialect.ts";
import { responsesDialect } from "./responses/dialect.ts";
import type { Services } from "./services.ts";

export function allDialects(services: Services): readonly Dialect[] {
  const asked = [openaiDialect, responsesDialect, anthropicDialect, ollamaDialect, llamaServerDialect].map((dialect) =>
    dialect(services),
  );
  return [
    ...asked,
    adminDialect(
      services,
      asked.flatMap(({ endpoints }) => endpoints),
    ),
  ];
}
