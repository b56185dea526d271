// Which clients of held connections have closed them, from the kernel's tables: the supervisor must not read from these
// sockets, as what it read would be missing to the worker, and so it gets no event. May import Node.
import { readFile } from "node:fs/promises";
import { isIPv4 } from "node:net";

export interface Peer {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localPort?: number | undefined;
}

/** A function that says of a connection whether its client has closed it. Where there are no tables: never. */
export async function departedClients(root = "/"): Promise<(peer: Peer) => boolean> {
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`${root}proc/self/net/${name}`, "latin1").catch(() => "")),
  );
  const closed = new Set(tables.flatMap(closedByPeer));
  return ({ remoteAddress, remotePort, localPort }) =>
    remoteAddress !== undefined && closed.has(keyOf(addressDigits(remoteAddress), remotePort, localPort));
}

/** CLOSE_WAIT: the peer has sent its end, this side has not. */
const closeWait = "08";

/** The keys of the connections of one table that their peer has closed. Rows: `sl local:port remote:port state …`. */
function closedByPeer(table: string): string[] {
  return table.split("\n").flatMap((line) => {
    const [, local, remote, state] = line.trim().split(/\s+/);
    if (state !== closeWait || local === undefined || remote === undefined) return [];
    const [, localPort = ""] = local.split(":");
    const [address = "", remotePort = ""] = remote.split(":");
    return [keyOf(networkOrder(address), Number.parseInt(remotePort, 16), Number.parseInt(localPort, 16))];
  });
}

function keyOf(addressHex: string, remotePort: number | undefined, localPort: number | undefined): string {
  return `${addressHex} ${remotePort} ${localPort}`;
}

const mappedIPv4 = "00000000000000000000ffff";

/** The table's address, 32-bit words in the machine's (little-endian) order, as the 32 digits of an IPv6 address. */
function networkOrder(tableHex: string): string {
  const digits = (tableHex.match(/.{8}/g) ?? []).map((word) => (word.match(/../g) ?? []).reverse().join("")).join("");
  return (digits.length === 8 ? mappedIPv4 + digits : digits).toLowerCase();
}

/** An address as text, as the 32 digits of an IPv6 address. */
function addressDigits(address: string): string {
  const [plain = ""] = address.split("%");
  const tail = plain.slice(plain.lastIndexOf(":") + 1);
  if (isIPv4(tail)) {
    return (
      mappedIPv4 +
      tail
        .split(".")
        .map((byte) => Number(byte).toString(16).padStart(2, "0"))
        .join("")
    );
  }
  const [left = [], right = []] = plain.split("::").map((part) => part.split(":").filter((word) => word !== ""));
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return [...left, ...zeros, ...right]
    .map((word) => word.padStart(4, "0"))
    .join("")
    .toLowerCase();
}
