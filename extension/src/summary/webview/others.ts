import type { ObjectRef, Picture } from '../../protocol/summary.js';
import type { Texts } from '../messages.js';
import { SIGNS } from './measure.js';
import { button } from './toolbar.js';

/** Changed objects that are no tables, as a list of buttons. */
export function drawOthers(picture: Picture, texts: Texts, open: (object: ObjectRef) => void): HTMLElement[] {
  const drawn: HTMLElement[] = [];
  if (picture.hidden > 0) {
    const note = document.createElement('p');
    note.textContent = texts.hidden.replace('{0}', String(picture.hidden));
    drawn.push(note);
  }
  if (picture.others.length > 0) {
    const heading = document.createElement('h2');
    heading.textContent = texts.others;
    const list = document.createElement('ul');
    list.className = 'others';
    for (const { object, title, state, group } of picture.others) {
      const row = document.createElement('li');
      const name = `${title}, ${texts.states[state]}, ${texts.groups[group]}`;
      const chip = button('', name, () => {
        open(object);
      });
      chip.className = `chip ${state}`;
      const sign = document.createElement('span');
      sign.className = 'chipSign';
      sign.textContent = SIGNS[state];
      chip.append(sign, title);
      row.append(chip);
      list.append(row);
    }
    drawn.push(heading, list);
  }
  return drawn;
}
