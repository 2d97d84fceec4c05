/** The script that wasm-bindgen writes; `extension/build.mjs` puts it in place of the name, or one that always fails. */
declare module 'offshoot-schema-wasm' {
  export function initSync(source: { readonly module: BufferSource }): unknown;

  export class Comparison {
    constructor(mineName: string, mine: string, theirsName: string, theirs: string, fork?: string);
    picture(filter: string): string;
    document(filter: string): string;
    free(): void;
  }
}
