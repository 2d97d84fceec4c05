import * as vscode from 'vscode';
import { command } from '../commands/register.js';
import { chooseFolder, targetArgument } from '../commands/target.js';
import { detach } from '../detach.js';
import { forgetAnswers } from '../migrations/answers.js';
import { readyFolders, type ReadyFolder } from '../model.js';
import type { EditorStatus } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';
import { openQuestions, Put } from './asks.js';
import { noticesOf, Told } from './notices.js';
import { ask, askInList } from './question.js';
import { tell } from './tell.js';

/** Asks what a checkout raises, and tells what needs a person: each thing once. */
export function registerCheckout(around: Surroundings): vscode.Disposable {
  const { server } = around;
  const put = new Put();
  const told = new Told();
  const show = (status: EditorStatus | undefined): void => {
    const folders = readyFolders(status);
    for (const question of put.take(openQuestions(folders))) {
      detach(ask(around, question));
    }
    for (const notice of told.take(noticesOf(folders))) {
      detach(tell(notice));
    }
  };
  show(server.status);
  return vscode.Disposable.from(
    server.onDidChangeStatus(show),
    command('offshoot.answerCheckout', async (argument) => answerCheckout(around, argument)),
    command('offshoot.askAgain', async (argument) => {
      const ready = await chooseFolder(server, argument, vscode.l10n.t('Ask Again'));
      if (ready !== undefined) {
        put.forget(ready.project.id);
        await forgetAnswers(around.context.globalState, ready.project.id);
        await server.requests.answer({ folder: ready.folder.uri, answer: 'askAgain' });
      }
    }),
    command('offshoot.newPort', async (argument) => {
      const ready = await chooseFolder(server, argument, vscode.l10n.t('Use Another Port'));
      if (ready !== undefined) {
        await newPort(around, ready);
      }
    }),
  );
}

async function answerCheckout(around: Surroundings, argument: unknown): Promise<void> {
  const ready = await folderThatAsks(around, argument);
  if (ready === undefined) {
    return;
  }
  const [question] = openQuestions([ready]);
  if (question === undefined) {
    await vscode.window.showInformationMessage(vscode.l10n.t('Every git branch that is checked out here has its database.'));
  } else {
    await askInList(around, question);
  }
}

/** The folder that is named; without a name the only one with a question, rather than one without. */
async function folderThatAsks({ server }: Surroundings, argument: unknown): Promise<ReadyFolder | undefined> {
  const asking = readyFolders(server.status).filter(({ project }) => project.worktree.ask !== undefined);
  const [only, ...others] = asking;
  const named = targetArgument(argument).folder !== undefined;
  return !named && only !== undefined && others.length === 0 ? only : chooseFolder(server, argument, vscode.l10n.t('Answer'));
}

async function newPort({ server }: Surroundings, ready: ReadyFolder): Promise<void> {
  const { url } = await server.requests.url({ folder: ready.folder.uri, newPort: true });
  const copy = vscode.l10n.t('Copy URL');
  const port = portOf(url);
  const choice = await vscode.window.showInformationMessage(
    vscode.l10n.t('The database of {0} is now at port {1} of 127.0.0.1. Programs need the new URL.', ready.folder.name, port),
    copy,
  );
  if (choice === copy) {
    await vscode.env.clipboard.writeText(url);
  }
}

function portOf(url: string): string {
  try {
    return new URL(url).port;
  } catch {
    return '?';
  }
}
