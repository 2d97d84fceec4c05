import { SCHEME, type UriParts } from '../documents/uri.js';

/**
 * The root of a folder's source control. It is not the folder: the editor gives a file to the source control with the nearest
 * root, and Git would lose its files, and with them its place in the status bar, to whoever registers first.
 */
export function rootParts(folder: string, name: string): UriParts {
  return { scheme: SCHEME, authority: '', path: `/${name.replace(/[/\\]/g, '-')}`, query: JSON.stringify({ root: folder }) };
}

/** URI of the folder that a root belongs to. */
export function folderOfRoot(uri: { readonly scheme: string; readonly query: string }): string | undefined {
  if (uri.scheme !== SCHEME) {
    return undefined;
  }
  try {
    const read: unknown = JSON.parse(uri.query);
    return typeof read === 'object' && read !== null && 'root' in read && typeof read.root === 'string' ? read.root : undefined;
  } catch {
    return undefined;
  }
}
