import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';
import { command } from './register.js';
import { chooseBranch, chooseFolder } from './target.js';

/** *Copy URL*: the unchanging address of the worktree, or the one that always leads to a certain branch. */
export function registerAddresses({ server }: Surroundings): vscode.Disposable {
  return vscode.Disposable.from(
    command('offshoot.copyUrl', async (argument) => {
      const ready = await chooseFolder(server, argument, vscode.l10n.t('Copy Connection URL'));
      if (ready !== undefined) {
        const { url } = await server.requests.url({ folder: ready.folder.uri });
        await vscode.env.clipboard.writeText(url);
        said(vscode.l10n.t('Copied the address that follows git'));
      }
    }),
    command('offshoot.copyBranchUrl', async (argument) => {
      const target = await chooseBranch(server, argument, vscode.l10n.t('Copy Connection URL of Branch'));
      if (target !== undefined) {
        const { url, branch } = await server.requests.url({ folder: target.ready.folder.uri, branch: target.branch.name });
        await vscode.env.clipboard.writeText(url);
        said(vscode.l10n.t('Copied the address of {0}', branch));
      }
    }),
  );
}

function said(text: string): void {
  vscode.window.setStatusBarMessage(`$(check) ${text}`, 3_000);
}
