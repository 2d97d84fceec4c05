import * as vscode from 'vscode';
import { command } from '../commands/register.js';
import { targetArgument } from '../commands/target.js';
import type { EditorInitResult, FolderState, FolderStatus, PostgresVersions } from '../protocol/types.js';
import { describeError, isCancelled, RequestError, ServerUnavailable } from '../server/errors.js';
import { settled } from '../server/settled.js';
import { whyUnavailable } from '../server/state.js';
import type { Surroundings } from '../surroundings.js';
import { formatBytes } from '../views/words.js';
import { type MajorChoice, majorChoices } from './major.js';
import { Passwords } from './passwords.js';
import { askSource, type ChosenSource } from './source.js';
import { type Answered, askPick, BACK, type StepPlace } from './steps.js';

type NewFolder = FolderStatus & { readonly state: Extract<FolderState, { kind: 'notInitialised' }> };

/** *Set Up Database Branching*. */
export function registerSetUp(around: Surroundings): vscode.Disposable {
  return command('offshoot.setUp', async (argument) => setUp(around, argument));
}

async function setUp(around: Surroundings, argument: unknown): Promise<void> {
  const { server } = around;
  const title = vscode.l10n.t('Set Up Database Branching');
  const folder = await chooseNewFolder(around, argument, title);
  if (folder === undefined) {
    return;
  }
  let address: string | undefined;
  for (;;) {
    const chosen = await askAll(around, folder, title, address);
    if (chosen === undefined) {
      return;
    }
    const { source, keep, postgres } = chosen;
    address = chosen.address ?? address;
    try {
      const result = await server.withProgress(title, async (workDoneToken, cancel) =>
        server.requests.init({ folder: folder.uri, source, workDoneToken, ...(postgres === undefined ? {} : { postgres }) }, cancel),
      );
      await keep?.();
      await summary(around, folder, result);
      return;
    } catch (error) {
      if (!(await wantsAnotherTry(error))) {
        return;
      }
    }
  }
}

/** Tells why it failed. Only what a person can answer in another way is asked anew. */
async function wantsAnotherTry(error: unknown): Promise<boolean> {
  if (isCancelled(error) || !(error instanceof RequestError)) {
    throw error;
  }
  const again = vscode.l10n.t('Try Again…');
  const logs = vscode.l10n.t('Show Logs');
  const choice = await vscode.window.showErrorMessage(describeError(error), again, logs);
  if (choice === logs) {
    await vscode.commands.executeCommand('offshoot.showServerLog');
  }
  return choice === again;
}

async function chooseNewFolder({ server }: Surroundings, argument: unknown, title: string): Promise<NewFolder | undefined> {
  await settled(server);
  if (server.state.kind !== 'running') {
    const { message, hint } = whyUnavailable(server.state);
    throw new ServerUnavailable(message, hint);
  }
  const all = (server.status?.folders ?? []).filter((folder): folder is NewFolder => folder.state.kind === 'notInitialised');
  const { folder: wanted } = targetArgument(argument);
  const named = all.find(({ uri }) => uri === wanted);
  const [first] = all;
  if (named !== undefined || all.length === 1) {
    return named ?? first;
  }
  if (first === undefined) {
    const ready = server.status?.folders.some(({ state }) => state.kind === 'ready') ?? false;
    throw new Error(
      ready ? vscode.l10n.t('The repository of this window has its database already.') : vscode.l10n.t('No folder of this window lies in a git repository.'),
    );
  }
  const items = all.map((folder) => ({ label: `$(repo) ${folder.name}`, description: folder.path, folder }));
  const picked = await vscode.window.showQuickPick(items, { title, placeHolder: vscode.l10n.t('Choose a folder') });
  return picked?.folder;
}

/** All questions; *Back* goes to the one before. `address` is what a server's was the last time. */
async function askAll({ context, server }: Surroundings, folder: NewFolder, title: string, address?: string): Promise<(ChosenSource & { postgres?: number }) | undefined> {
  const place = (step: number, totalSteps: number): StepPlace => ({ title, step, totalSteps });
  const passwords = new Passwords(context.secrets, context.globalState);
  // Looked up while the first question is read.
  const versions = server.requests.postgres({ folder: folder.uri });
  versions.catch(() => undefined);
  for (;;) {
    const source = await askSource(place(1, 2), folder.state.root, folder.state.dumps, passwords, address);
    if (source === undefined) {
      return undefined;
    }
    if (source === BACK) {
      continue;
    }
    const major = await askMajor(source.source.kind === 'server' ? place(3, 3) : place(2, 2), await versions);
    if (major === undefined) {
      return undefined;
    }
    if (major !== BACK) {
      return { ...source, ...(major.major === undefined ? {} : { postgres: major.major }) };
    }
  }
}

async function askMajor(place: StepPlace, versions: PostgresVersions): Promise<Answered<MajorChoice>> {
  return askPick(place, vscode.l10n.t('Which version of Postgres? Choose the one that you use in production'), majorChoices(versions));
}

async function summary({ log }: Surroundings, folder: NewFolder, result: EditorInitResult): Promise<void> {
  const { bytes, statements, rows, notes } = result;
  const loaded = statements === 0 && rows === 0 ? '' : ` ${vscode.l10n.t('{0} statements, {1} rows.', statements.toLocaleString(), rows.toLocaleString())}`;
  const text = `${vscode.l10n.t('{0} has its database: {1}.', folder.name, formatBytes(bytes))}${loaded}`;
  const walkthrough = vscode.l10n.t('Open Walkthrough');
  const url = vscode.l10n.t('Copy URL');
  const details = vscode.l10n.t('Show Notes');
  notes.forEach((note) => {
    log.warn(`${folder.name}: ${note}`);
  });
  const choice = await vscode.window.showInformationMessage(text, url, walkthrough, ...(notes.length === 0 ? [] : [details]));
  if (choice === walkthrough) {
    await vscode.commands.executeCommand('offshoot.openWalkthrough');
  } else if (choice === url) {
    await vscode.commands.executeCommand('offshoot.copyUrl', { folder: folder.uri });
  } else if (choice === details) {
    log.show();
  }
}
