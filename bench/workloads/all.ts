// All workloads of the suite, in the order in which they run. May import its neighbours.
import { conversationsWorkload } from "./conversations.ts";
import { decodeWorkload } from "./decode.ts";
import { prefillWorkload } from "./prefill.ts";
import { repeatedTextWorkload } from "./repeated-text.ts";
import { residentMemoryWorkload } from "./resident-memory.ts";
import { returnAfterEvictionWorkload } from "./return-after-eviction.ts";
import { runningStreamWorkload } from "./running-stream.ts";
import { secondTurnWorkload } from "./second-turn.ts";
import { sharedSystemPromptWorkload } from "./shared-system-prompt.ts";
import { structuredOutputWorkload } from "./structured-output.ts";
import { swapRunWorkload } from "./swap-run.ts";
import { tinyRequestsWorkload } from "./tiny-requests.ts";
import type { Workload } from "./workload.ts";

export const workloads: readonly Workload[] = [
  decodeWorkload(1, 1),
  decodeWorkload(4, 1.04),
  decodeWorkload(8, 1.1),
  repeatedTextWorkload,
  prefillWorkload(512),
  prefillWorkload(2048),
  secondTurnWorkload,
  conversationsWorkload,
  returnAfterEvictionWorkload,
  sharedSystemPromptWorkload,
  tinyRequestsWorkload,
  structuredOutputWorkload,
  residentMemoryWorkload,
  runningStreamWorkload,
  swapRunWorkload,
];
