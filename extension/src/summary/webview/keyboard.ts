import type { ObjectRef, Picture } from '../../protocol/summary.js';
import { neighbour } from '../layout.js';
import type { Drawing } from './draw.js';

const DIRECTIONS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Makes boxes reachable: one tab stop, arrow keys between them, Enter, Space and a click open. */
export function makeReachable(picture: Picture, drawing: Drawing, focused: string | undefined, open: (object: ObjectRef) => void): void {
  const { boxes, places } = drawing;
  let current = Math.max(0, picture.boxes.findIndex(({ title }) => title === focused));
  boxes[current]?.setAttribute('tabindex', '0');
  const go = (to: number): void => {
    boxes[current]?.setAttribute('tabindex', '-1');
    current = to;
    boxes[to]?.setAttribute('tabindex', '0');
    boxes[to]?.focus();
    boxes[to]?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  };
  boxes.forEach((box, at) => {
    const object = picture.boxes[at]?.object;
    box.addEventListener('click', () => {
      go(at);
      if (object !== undefined) {
        open(object);
      }
    });
    box.addEventListener('keydown', (event) => {
      const direction = DIRECTIONS[event.key];
      const next = direction === undefined ? undefined : neighbour(places, at, direction[0], direction[1]);
      const jump = event.key === 'Home' ? 0 : event.key === 'End' ? boxes.length - 1 : next;
      if (jump !== undefined) {
        go(jump);
      } else if ((event.key === 'Enter' || event.key === ' ') && object !== undefined) {
        open(object);
      } else if (direction === undefined) {
        return;
      }
      event.preventDefault();
    });
  });
}
