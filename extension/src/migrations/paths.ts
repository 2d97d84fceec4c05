import { realpathSync } from 'node:fs';
import { posix } from 'node:path';
import * as vscode from 'vscode';
import type { ReadyFolder } from '../model.js';

/** A folder by its real path, and as the editor names it. */
interface Names {
  readonly real: string;
  readonly opened: string;
}

/** By the folder's URI and the worktree: a link that leads elsewhere leads to another worktree. */
const known = new Map<string, Names | undefined>();

/** The real path; the path itself where there is nothing. */
export function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}

/** A file of a worktree as the editor names it: below the folder that was opened, which may lead there by a symbolic link. */
export function fileUri(ready: ReadyFolder, path: string): vscode.Uri {
  const file = `${ready.project.worktree.path}/${path}`;
  const names = namesOf(ready);
  return vscode.Uri.file(names !== undefined && file.startsWith(`${names.real}/`) ? `${names.opened}${file.slice(names.real.length)}` : file);
}

function namesOf({ folder, project }: ReadyFolder): Names | undefined {
  const key = `${folder.uri}\n${project.worktree.path}`;
  if (!known.has(key)) {
    known.set(key, find(vscode.Uri.parse(folder.uri).fsPath, project.worktree.path));
  }
  return known.get(key);
}

/** The outermost folder of the worktree that has another name in the editor; nothing if none has. */
function find(opened: string, worktree: string): Names | undefined {
  let names: Names = { real: realPath(opened), opened };
  if (names.real === opened) {
    return undefined;
  }
  while (names.real !== worktree) {
    const up = { real: posix.dirname(names.real), opened: posix.dirname(names.opened) };
    if (!up.real.startsWith(worktree) || realPath(up.opened) !== up.real) {
      break;
    }
    names = up;
  }
  return names;
}
