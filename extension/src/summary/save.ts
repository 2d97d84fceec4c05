import * as vscode from 'vscode';
import type { PictureRef } from './messages.js';

/** Asks where to, and writes a picture as a file. */
export async function saveSvg({ folder, branch }: PictureRef, svg: string): Promise<void> {
  const name = `${branch.replace(/[^\p{L}\p{N}._-]+/gu, '-')}.svg`;
  const defaultUri = vscode.Uri.joinPath(vscode.Uri.parse(folder), name);
  const target = await vscode.window.showSaveDialog({ defaultUri, filters: { SVG: ['svg'] }, title: vscode.l10n.t('Save Picture') });
  if (target !== undefined) {
    await vscode.workspace.fs.writeFile(target, Buffer.from(svg));
  }
}
