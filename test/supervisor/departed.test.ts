// The kernel's own tables, with live connections over both families of addresses.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { departedClients } from "../../src/supervisor/departed.ts";

const servers: Server[] = [];
const sockets: Socket[] = [];
const hasIPv6 = networkInterfaces()["lo"]?.some(({ family }) => family === "IPv6") === true;

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function connectionOver(listenHost: string, clientHost: string): Promise<{ client: Socket; accepted: Socket }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, listenHost);
  servers.push(server);
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, clientHost);
  const [accepted] = (await once(server, "connection")) as [Socket];
  sockets.push(client, accepted);
  return { client, accepted };
}

describe("a client of a held connection", () => {
  const overIPv6 = [
    ["IPv6", "::1", "::1"],
    ["IPv4 on a socket for both", "::", "127.0.0.1"],
  ] as const;
  it.each([["IPv4", "127.0.0.1", "127.0.0.1"] as const, ...(hasIPv6 ? overIPv6 : [])])(
    "over %s has left when it has closed, although nothing was read here",
    async (_, listenHost, clientHost) => {
      const leaving = await connectionOver(listenHost, clientHost);
      const staying = await connectionOver(listenHost, clientHost);
      leaving.client.write("GET / HTTP/1.1\r\n\r\n");
      expect((await departedClients())(leaving.accepted)).toBe(false);
      leaving.client.end();
      // The kernel delivers over the loopback before the call that sends has ended; the end is sent at the next turn.
      while (!(await departedClients())(leaving.accepted));
      expect((await departedClients())(staying.accepted)).toBe(false);
    },
  );

  it("where there are no tables, nobody is said to have left", async () => {
    const { client, accepted } = await connectionOver("127.0.0.1", "127.0.0.1");
    client.end();
    while (!(await departedClients())(accepted));
    expect((await departedClients("/nowhere/"))(accepted)).toBe(false);
  });
});
