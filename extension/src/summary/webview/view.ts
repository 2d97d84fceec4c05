import type { Filter, ObjectRef, Picture } from '../../protocol/summary.js';
import type { ComparedFacts } from '../../protocol/types.js';
import type { FromView, PictureRef, Texts, ViewState } from '../messages.js';
import { draw, type Drawing } from './draw.js';
import { exported } from './export.js';
import { makeReachable } from './keyboard.js';
import { drawOthers } from './others.js';
import { PictureSource } from './source.js';
import { Toolbar } from './toolbar.js';

/** What the page talks to. */
export interface Host {
  readonly post: (message: FromView) => void;
  readonly remember: (state: ViewState) => void;
}

const EVERYTHING: Filter = { text: '', kinds: [], groups: [] };

/** The whole page. */
export class View {
  private readonly source: PictureSource;
  private readonly host: Host;
  private readonly ref: PictureRef;
  private readonly texts: Texts;
  private readonly toolbar: Toolbar;
  private readonly status = document.createElement('p');
  private readonly stage = document.createElement('div');
  private readonly below = document.createElement('div');
  private filter: Filter;
  private zoom: number;
  private drawing: Drawing | undefined;
  private last: string | undefined;

  constructor(host: Host, ref: PictureRef, texts: Texts, former: ViewState | undefined) {
    this.host = host;
    this.ref = ref;
    this.texts = texts;
    this.filter = former?.filter ?? EVERYTHING;
    this.zoom = former?.zoom ?? 0;
    this.source = new PictureSource(host.post);
    this.toolbar = new Toolbar(texts, this.filter, {
      filter: (filter) => {
        this.filter = filter;
        this.remember();
        this.refresh();
      },
      zoom: (factor) => {
        this.setZoom(this.scale() * factor);
      },
      document: () => {
        host.post({ kind: 'document' });
      },
      save: () => {
        if (this.drawing !== undefined) {
          host.post({ kind: 'export', svg: exported(this.drawing) });
        }
      },
    });
    this.status.className = 'verdict';
    this.status.setAttribute('role', 'status');
    this.status.textContent = texts.waiting;
    this.stage.className = 'stage';
    window.addEventListener('resize', () => { this.fit(); });
    this.stage.addEventListener('wheel', (event) => { this.wheel(event); }, { passive: false });
    const help = document.createElement('p');
    help.className = 'help';
    help.textContent = texts.help;
    document.body.replaceChildren(this.toolbar.element, this.status, this.stage, this.below, help);
    this.remember();
  }

  /** Takes the module that makes pictures, if there is one. */
  start(module: Uint8Array | undefined): void {
    this.source.start(module, this.filter);
  }

  /** Takes the schemas and draws them. */
  take(facts: ComparedFacts): void {
    this.source.take(this.ref.branch, facts, this.filter);
    this.refresh();
  }

  private refresh(): void {
    const picture = this.source.picture(this.filter);
    if (picture !== undefined) {
      this.show(picture);
    }
  }

  /** Draws a picture, unless it is the one that is shown. */
  show(picture: Picture): void {
    const text = JSON.stringify(picture);
    if (text === this.last) {
      return;
    }
    this.last = text;
    const active = document.activeElement;
    const focused = this.drawing?.boxes.findIndex((box) => box === active) ?? -1;
    const title = focused < 0 ? undefined : this.drawing?.boxes[focused]?.dataset['title'];
    const open = (object: ObjectRef): void => {
      this.host.post({ kind: 'open', object });
    };
    this.toolbar.offer(picture.choices);
    this.drawing = draw(picture, this.texts);
    this.drawing.boxes.forEach((box, at) => (box.dataset['title'] = picture.boxes[at]?.title ?? ''));
    makeReachable(picture, this.drawing, title, open);
    const isEmpty = picture.boxes.length + picture.others.length === 0;
    const none = picture.choices.groups.length === 0 ? this.texts.nothing : this.texts.nothingFits;
    this.status.textContent = isEmpty ? none : `${picture.mine} ← ${picture.theirs}: ${picture.verdict}`;
    this.stage.replaceChildren(...(picture.boxes.length === 0 ? [] : [this.drawing.svg]));
    this.stage.hidden = picture.boxes.length === 0;
    this.below.replaceChildren(...drawOthers(picture, this.texts, open));
    this.setZoom(this.zoom);
    this.drawing.boxes.find((box) => title !== undefined && box.dataset['title'] === title)?.focus();
  }

  /** Says something in place of the verdict. */
  say(text: string): void {
    this.last = undefined;
    this.status.textContent = text;
  }

  private setZoom(zoom: number): void {
    this.zoom = zoom === 0 ? 0 : Math.min(3, Math.max(0.2, zoom));
    this.fit();
    this.remember();
  }

  /** Pixels of the page for one of the picture. Until a person zooms, the picture is as wide as the page, but stays readable. */
  private scale(): number {
    const room = this.stage.clientWidth / Math.max(this.drawing?.width ?? 1, 1);
    return this.zoom === 0 ? Math.min(1, Math.max(0.6, room)) : this.zoom;
  }

  private fit(): void {
    if (this.drawing !== undefined) {
      const scale = this.scale();
      this.drawing.svg.style.width = `${this.drawing.width * scale}px`;
      this.drawing.svg.style.height = `${this.drawing.height * scale}px`;
    }
  }

  private wheel(event: WheelEvent): void {
    if (event.ctrlKey) {
      event.preventDefault();
      this.setZoom(this.scale() * Math.exp(-event.deltaY / 300));
    }
  }

  private remember(): void {
    this.host.remember({ ...this.ref, filter: this.filter, zoom: this.zoom });
  }
}
