import * as vscode from 'vscode';
import { extensionVersion } from '../server/binary.js';
import { describeError } from '../server/errors.js';
import type { Surroundings } from '../surroundings.js';
import { command } from './register.js';

/** *Report Issue* and *Copy Diagnostics*. Neither sends anything: a person reads it first. */
export function registerHelp(around: Surroundings): vscode.Disposable {
  return vscode.Disposable.from(
    command('offshoot.reportIssue', async () => report(around)),
    command('offshoot.copyDiagnostics', async () => {
      await vscode.env.clipboard.writeText(await diagnostics(around));
      await vscode.window.showInformationMessage(vscode.l10n.t('Diagnostics were copied. They hold no password and no data; read them before you pass them on.'));
    }),
  );
}

/** Opens the editor's own reporter. An editor that has none, or a build without a place for issues, gets the text copied instead. */
async function report(around: Surroundings): Promise<void> {
  const data = await diagnostics(around);
  try {
    await vscode.commands.executeCommand('workbench.action.openIssueReporter', { extensionId: around.context.extension.id, data });
  } catch (error) {
    around.log.warn(`The issue reporter cannot be opened: ${describeError(error)}`);
    await vscode.env.clipboard.writeText(data);
    await vscode.window.showInformationMessage(vscode.l10n.t('The editor’s issue reporter cannot be opened here. The diagnostics were copied instead; paste them where you report the issue.'));
  }
}

async function diagnostics({ context, server }: Surroundings): Promise<string> {
  const { state } = server;
  const facts = [
    `- extension ${extensionVersion(context)}`,
    `- ${vscode.env.appName} ${vscode.version}, ${process.platform} ${process.arch}, ${vscode.env.remoteName ?? 'local'}`,
    `- server: ${state.kind}${'reason' in state ? `: ${state.reason}` : ''}`,
    `- workspace: ${vscode.workspace.isTrusted ? 'trusted' : 'not trusted'}, ${String(vscode.workspace.workspaceFolders?.length ?? 0)} folders`,
  ];
  return ['## Offshoot', '', ...facts, '', await fromServer(server)].join('\n');
}

/** The server's part; its absence is a fact too. */
async function fromServer({ requests }: Surroundings['server']): Promise<string> {
  try {
    return (await requests.diagnostics({})).text;
  } catch (error) {
    return describeError(error);
  }
}
