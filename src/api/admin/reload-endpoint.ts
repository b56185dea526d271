// POST /admin/reload: the configuration is read again. May import zod and core/.
import { z } from "zod";
import type { Endpoint } from "../endpoint.ts";
import type { Services } from "../services.ts";

export const reloadResponse = z.object({
  source: z.object({
    path: z.string().describe("The configuration file as it is named."),
    resolved_path: z.string().describe("Where its link leads now."),
  }),
  experts_before: z.int(),
  experts: z.int(),
  summary: z.string().describe("For example `5 experts, was 4: added aya_expanse_multilingual`."),
  added: z.array(z.string()),
  changed: z.array(z.string()).describe("Their configuration or their file is another one."),
  removed: z.array(z.string()),
  settings: z.array(z.string()).describe("Keys outside the experts whose value is another one."),
  warnings: z.array(z.string()),
  restart_needed: z.array(z.string()).describe("Settings that take effect at the next start alone."),
});

/** Requests that ask while another reload runs share the next one: nobody is refused, and each sees the newest file. */
export function reloadEndpoint(services: Pick<Services, "reload">): Endpoint {
  return {
    method: "post",
    path: "/admin/reload",
    summary: "Read the configuration again, without dropping a request",
    tag: "Administration",
    response: reloadResponse,
    errors: {
      400: "The configuration cannot be used: the message names every problem, and the old one stays in force",
      503: "The server is shutting down",
    },
    async handle() {
      const report = await services.reload();
      const body: z.output<typeof reloadResponse> = {
        source: { path: report.source.path, resolved_path: report.source.resolvedPath },
        experts_before: report.expertsBefore,
        experts: report.experts,
        summary: report.summary,
        added: [...report.added],
        changed: [...report.changed],
        removed: [...report.removed],
        settings: [...report.settings],
        warnings: [...report.warnings],
        restart_needed: [...report.restart],
      };
      return { kind: "json", body };
    },
  };
}
