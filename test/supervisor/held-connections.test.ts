import { array, assert, constantFrom, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { HeldConnections } from "../../src/supervisor/held-connections.ts";

const held = (limit: number, ...names: string[]) => {
  const connections = new HeldConnections<string>(limit);
  for (const name of names) connections.hold(name);
  return connections;
};

describe("connections that wait", () => {
  it("go to the worker in the order in which they came, once", () => {
    const connections = held(9, "a", "b", "c");
    expect([...connections.send().values()]).toEqual(["a", "b", "c"]);
    expect(connections.send().size).toBe(0);
    expect(connections.size).toBe(3);
  });

  it("are forgotten when the worker has them; what it did not take goes first to the next", () => {
    const connections = held(9, "a", "b", "c");
    const [, second] = [...connections.send().keys()];
    expect(connections.acknowledge(second ?? 0)).toBe("b");
    connections.hold("d");
    connections.workerDied();
    expect([...connections.send().values()]).toEqual(["a", "c", "d"]);
    expect(connections.acknowledge(second ?? 0)).toBeUndefined();
  });

  it("are bounded: what is on its way to a worker counts too", () => {
    const connections = held(2, "a");
    const [first] = [...connections.send().keys()];
    expect(connections.hold("b")).toBe(true);
    expect(connections.hold("c")).toBe(false);
    connections.acknowledge(first ?? 0);
    expect(connections.hold("c")).toBe(true);
  });

  it("can be dropped while they wait, and not once they are on their way", () => {
    const connections = held(9, "a", "b");
    const [first, second] = [...connections.waiting.keys()];
    expect(connections.drop(first ?? 0)).toBe("a");
    connections.send();
    expect(connections.drop(second ?? 0)).toBeUndefined();
    connections.workerDied();
    expect([...connections.send().values()]).toEqual(["b"]);
  });
});

it("whatever happens, none is lost, doubled, or out of its order", () => {
  const step = constantFrom("hold", "send", "acknowledge", "die", "drop");
  assert(
    property(array(step, { maxLength: 60 }), (steps) => {
      const connections = new HeldConnections<number>(8);
      const pending = new Set<number>();
      const onTheWay: [id: number, connection: number][] = [];
      let last = 0;
      const moves: Record<(typeof steps)[number], () => boolean> = {
        hold: () => {
          last += 1;
          const hasRoom = pending.size < 8;
          if (hasRoom) pending.add(last);
          return connections.hold(last) === hasRoom;
        },
        send: () => {
          const sent = [...connections.send()];
          onTheWay.push(...sent);
          return sent.every(([, connection], index) => index === 0 || connection > (sent[index - 1]?.[1] ?? 0));
        },
        acknowledge: () => {
          const [id = 0, connection] = onTheWay.shift() ?? [];
          if (connection !== undefined) pending.delete(connection);
          return connections.acknowledge(id) === connection;
        },
        die: () => {
          connections.workerDied();
          onTheWay.length = 0;
          return true;
        },
        drop: () => {
          const [id, connection] = [...connections.waiting][0] ?? [0, undefined];
          if (connection !== undefined) pending.delete(connection);
          return connections.drop(id) === connection;
        },
      };
      for (const what of steps) {
        expect(moves[what]()).toBe(true);
        expect(connections.size).toBe(pending.size);
      }
      connections.workerDied();
      expect(new Set(connections.send().values())).toEqual(pending);
    }),
  );
});
