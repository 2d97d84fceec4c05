import * as vscode from 'vscode';
import { command } from '../commands/register.js';
import { detach } from '../detach.js';
import type { EditorStatus } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';
import type { BranchesView } from '../views/branches/branchesView.js';
import { NOTHING_YET, progressed, type Progress } from './progress.js';

const STORED = 'walkthrough.progress';

/** The walkthrough's page registers its steps after its tab is there. */
const PAGE_OPENS_MS = 1_500;

/** Ticks the walkthrough's steps when what they are about has really happened. */
export function registerWalkthrough({ context, server }: Surroundings, { view: tree }: BranchesView): vscode.Disposable {
  let progress: Progress = { ...NOTHING_YET, ...context.globalState.get<Partial<Progress>>(STORED) };
  let before: EditorStatus | undefined;
  let opening: NodeJS.Timeout | undefined;
  const take = (status: EditorStatus): void => {
    const next = progressed(progress, before, status, tree.visible);
    before = status;
    if (JSON.stringify(next) !== JSON.stringify(progress)) {
      progress = next;
      detach(Promise.all([announce(progress), context.globalState.update(STORED, progress)]));
    }
  };
  const takePresent = (): void => {
    if (server.status !== undefined) {
      take(server.status);
    }
  };
  takePresent();
  return vscode.Disposable.from(
    server.onDidChangeStatus(take),
    tree.onDidChangeVisibility(takePresent),
    vscode.window.tabGroups.onDidChangeTabs(({ opened, changed }) => {
      // The walkthrough is among the editors that extensions are told nothing about.
      if ([...opened, ...changed].some(({ input, isActive }) => isActive && input === undefined)) {
        clearTimeout(opening);
        opening = setTimeout(() => {
          detach(announce(progress));
        }, PAGE_OPENS_MS);
      }
    }),
    new vscode.Disposable(() => {
      clearTimeout(opening);
    }),
    command('offshoot.openWalkthrough', async () =>
      vscode.commands.executeCommand('workbench.action.openWalkthrough', `${context.extension.id}#offshoot.start`, false),
    ),
  );
}

/**
 * Lets the context keys of what was reached become true for a moment. The editor ticks a step when its key becomes true, but
 * never if it was true already when the editor first looked, which it does when the first walkthrough is opened.
 */
async function announce(progress: Progress): Promise<void> {
  const names = Object.entries(progress).flatMap(([name, reached]) => (reached === true ? [`offshoot.${name}`] : []));
  for (const value of [true, false]) {
    await Promise.all(names.map(async (name) => vscode.commands.executeCommand('setContext', name, value)));
  }
}
