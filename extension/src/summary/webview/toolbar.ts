import type { Choices, Filter, Group } from '../../protocol/summary.js';
import type { Texts } from '../messages.js';

/** What a person does with the toolbar. */
export interface ToolbarEvents {
  readonly filter: (filter: Filter) => void;
  readonly zoom: (factor: number) => void;
  readonly document: () => void;
  readonly save: () => void;
}

/** The bar above the picture: filter box, kinds, groups, zoom, export. */
export class Toolbar {
  readonly element = document.createElement('div');
  private readonly input = document.createElement('input');
  private readonly kinds = document.createElement('select');
  private readonly groups = document.createElement('select');
  private readonly texts: Texts;

  constructor(texts: Texts, filter: Filter, events: ToolbarEvents) {
    this.texts = texts;
    this.element.className = 'toolbar';
    this.element.setAttribute('role', 'toolbar');
    this.input.type = 'search';
    this.input.placeholder = texts.filter;
    this.input.setAttribute('aria-label', texts.filter);
    this.input.value = filter.text;
    this.kinds.setAttribute('aria-label', texts.allKinds);
    this.groups.setAttribute('aria-label', texts.allGroups);
    fill(this.kinds, texts.allKinds, filter.kinds.map((kind) => [kind, words(kind)]), filter.kinds[0]);
    fill(this.groups, texts.allGroups, filter.groups.map((group) => [group, texts.groups[group]]), filter.groups[0]);
    const changed = (): void => {
      events.filter(this.filter());
    };
    this.input.addEventListener('input', changed);
    this.kinds.addEventListener('change', changed);
    this.groups.addEventListener('change', changed);
    const gap = document.createElement('span');
    gap.className = 'gap';
    this.element.append(
      this.input, this.groups, this.kinds, gap,
      button('−', texts.zoomOut, () => { events.zoom(1 / 1.2); }),
      button('+', texts.zoomIn, () => { events.zoom(1.2); }),
      button(texts.openDocument, texts.openDocument, events.document),
      button(texts.exportSvg, texts.exportSvg, events.save),
    );
  }

  /** The filter as it is set. */
  filter(): Filter {
    return {
      text: this.input.value,
      kinds: this.kinds.value === '' ? [] : [this.kinds.value],
      groups: this.groups.value === '' ? [] : [this.groups.value as Group],
    };
  }

  /** Offers what there is to choose from. */
  offer(choices: Choices): void {
    const filter = this.filter();
    fill(this.kinds, this.texts.allKinds, choices.kinds.map((kind) => [kind, words(kind)]), filter.kinds[0]);
    fill(this.groups, this.texts.allGroups, choices.groups.map((group) => [group, this.texts.groups[group]]), filter.groups[0]);
    this.groups.hidden = choices.groups.length < 2 && filter.groups.length === 0;
  }
}

function fill(select: HTMLSelectElement, all: string, options: readonly (readonly [string, string])[], chosen: string | undefined): void {
  const wanted = [['', all] as const, ...options];
  if (chosen !== undefined && !wanted.some(([value]) => value === chosen)) {
    wanted.push([chosen, words(chosen)]);
  }
  select.replaceChildren(...wanted.map(([value, label]) => new Option(label, value, false, value === (chosen ?? ''))));
}

function words(kind: string): string {
  return kind.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** A button with a name for screen readers. */
export function button(label: string, name: string, pressed: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = label;
  made.title = name;
  made.setAttribute('aria-label', name);
  made.addEventListener('click', pressed);
  return made;
}
