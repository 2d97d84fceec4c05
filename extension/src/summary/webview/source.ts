import { Comparison, initSync } from 'offshoot-schema-wasm';
import type { Filter, Picture } from '../../protocol/summary.js';
import type { ComparedFacts } from '../../protocol/types.js';
import type { FromView } from '../messages.js';

/** Makes pictures: by the module, without asking anybody, or by the program where there is no module. */
export class PictureSource {
  private readonly post: (message: FromView) => void;
  private works = false;
  private comparison: Comparison | undefined;

  constructor(post: (message: FromView) => void) {
    this.post = post;
  }

  /** Takes the module; without one, or where it does not run, pictures are asked for. */
  start(module: Uint8Array | undefined, filter: Filter): void {
    this.try(filter, () => {
      if (module === undefined) {
        throw new Error('it is not part of this package');
      }
      // A copy: the editor may give a view into a larger buffer.
      initSync({ module: new Uint8Array(module) });
      this.works = true;
    });
    document.body.dataset['source'] = this.works ? 'module' : 'program';
  }

  /** Takes the schemas. */
  take(branch: string, facts: ComparedFacts, filter: Filter): void {
    this.try(filter, () => {
      this.comparison?.free();
      this.comparison = undefined;
      this.comparison = new Comparison(branch, facts.mine, facts.base, facts.theirs, facts.fork);
    });
  }

  private try(filter: Filter, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.works = false;
      this.post({ kind: 'noModule', why: String(error), filter });
    }
  }

  /** The picture of what a filter shows; `undefined` if it will come later, or nothing is known yet. */
  picture(filter: Filter): Picture | undefined {
    if (!this.works) {
      this.post({ kind: 'filter', filter });
      return undefined;
    }
    return this.comparison === undefined ? undefined : (JSON.parse(this.comparison.picture(JSON.stringify(filter))) as Picture);
  }
}
