import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layout, neighbour, type Edge, type Placed, type Sized } from '../src/summary/layout.js';

function boxes(count: number): Sized[] {
  return Array.from({ length: count }, (_, at) => ({ width: 150 + (at % 3) * 40, height: 60 + (at % 5) * 30 }));
}

function overlap(a: Placed, b: Placed): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function assertApart(placed: readonly Placed[]): void {
  placed.forEach((box, at) => {
    placed.slice(at + 1).forEach((other) => {
      assert.ok(!overlap(box, other), JSON.stringify([box, other]));
    });
  });
}

test('what_is_referred_to_lies_left_of_what_refers_to_it', () => {
  const edges: Edge[] = [{ from: 1, to: 0 }, { from: 2, to: 1 }, { from: 2, to: 0 }];
  const [first, second, third] = layout(boxes(3), edges);
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  assert.ok(first.x + first.width < second.x && second.x + second.width < third.x);
});

test('circles_and_references_to_oneself_end', () => {
  const placed = layout(boxes(4), [{ from: 0, to: 1 }, { from: 1, to: 2 }, { from: 2, to: 0 }, { from: 3, to: 3 }]);
  assert.equal(placed.length, 4);
  assertApart(placed);
});

test('three_hundred_boxes_lie_apart', () => {
  const count = 300;
  const edges = Array.from({ length: 500 }, (_, at) => ({ from: (at * 7919) % count, to: (at * 104729 + 13) % 200 }));
  const placed = layout(boxes(count), edges);
  assert.equal(placed.length, count);
  assertApart(placed);
});

test('boxes_without_lines_are_placed_below', () => {
  const placed = layout(boxes(5), [{ from: 1, to: 0 }]);
  assertApart(placed);
  const bottom = Math.max(...placed.slice(0, 2).map(({ y, height }) => y + height));
  assert.ok(placed.slice(2).every(({ y }) => y > bottom));
});

test('nothing_is_placed_for_nothing', () => {
  assert.deepEqual(layout([], []), []);
});

test('arrow_keys_reach_every_box', () => {
  const placed = layout(boxes(30), Array.from({ length: 25 }, (_, at) => ({ from: at + 1, to: (at * 3) % 7 })));
  const seen = new Set([0]);
  const open = [0];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) {
      const next = neighbour(placed, at, dx, dy);
      if (next !== undefined && !seen.has(next)) {
        seen.add(next);
        open.push(next);
      }
    }
  }
  assert.equal(seen.size, placed.length);
  assert.equal(neighbour(placed, 99, 1, 0), undefined);
});
