import type { Filter, ObjectRef } from '../protocol/summary.js';
import type { ComparedFacts } from '../protocol/types.js';

/** What a picture is of; the editor keeps it over reloads. */
export interface PictureRef {
  /** URI of the folder. */
  readonly folder: string;
  /** Name of the database branch. */
  readonly branch: string;
}

/** What the view remembers over reloads. */
export interface ViewState extends PictureRef {
  readonly filter: Filter;
  /** 0: as large as fits. */
  readonly zoom: number;
}

/** From the extension to the view. */
export type ToView =
  /** The first message: texts in the person's language, and the module that draws without asking, if there is one. */
  | { readonly kind: 'start'; readonly ref: PictureRef; readonly texts: Texts; readonly module?: Uint8Array }
  /** The schemas, for the module. */
  | { readonly kind: 'facts'; readonly facts: ComparedFacts }
  /** JSON of a picture, where there is no module. */
  | { readonly kind: 'picture'; readonly picture: string }
  | { readonly kind: 'message'; readonly text: string };

/** From the view to the extension. */
export type FromView =
  | { readonly kind: 'ready' }
  /** The module does not work here: pictures are wanted. */
  | { readonly kind: 'noModule'; readonly why: string; readonly filter: Filter }
  /** Another filter, where there is no module. */
  | { readonly kind: 'filter'; readonly filter: Filter }
  | { readonly kind: 'open'; readonly object: ObjectRef }
  | { readonly kind: 'document' }
  | { readonly kind: 'export'; readonly svg: string };

/** Every text of the view. Holes are `{0}`, `{1}`. */
export interface Texts {
  readonly filter: string;
  readonly allKinds: string;
  readonly allGroups: string;
  readonly groups: Readonly<Record<'conflict' | 'mine' | 'theirs' | 'both' | 'unknown', string>>;
  readonly states: Readonly<Record<'same' | 'added' | 'removed' | 'changed' | 'conflict', string>>;
  readonly exportSvg: string;
  readonly openDocument: string;
  readonly zoomIn: string;
  readonly zoomOut: string;
  readonly nothing: string;
  readonly nothingFits: string;
  readonly others: string;
  readonly more: string;
  readonly hidden: string;
  readonly picture: string;
  readonly refersTo: string;
  readonly help: string;
  readonly waiting: string;
}
