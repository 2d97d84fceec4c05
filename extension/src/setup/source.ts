import * as vscode from 'vscode';
import type { InitSource } from '../protocol/types.js';
import { addressFault, joinAddress, splitAddress } from './address.js';
import type { Passwords } from './passwords.js';
import { type Answered, askPick, askText, BACK, type StepPlace } from './steps.js';

/** What the new database starts with, and what to do when that has worked. */
export interface ChosenSource {
  readonly source: InitSource;
  /** Of a server, without the password. */
  readonly address?: string;
  /** Keeps the password that led to it. */
  readonly keep?: () => PromiseLike<void>;
}

interface SourceItem extends vscode.QuickPickItem {
  readonly choose?: () => Promise<Answered<ChosenSource>>;
}

/** First step: nothing, one of the dumps that lie in the repository, another file, or a running server. */
export async function askSource(
  place: StepPlace,
  root: string,
  dumps: readonly string[],
  passwords: Passwords,
  address?: string,
): Promise<Answered<ChosenSource>> {
  const items: SourceItem[] = [
    { label: `$(new-file) ${vscode.l10n.t('An empty database')}`, choose: async () => Promise.resolve({ source: { kind: 'empty' } }) },
    separator(vscode.l10n.t('from a dump')),
    ...dumps.map((path) => ({ label: `$(file) ${path}`, choose: async () => Promise.resolve(dump(path)) })),
    { label: `$(folder-opened) ${vscode.l10n.t('Choose a file…')}`, description: vscode.l10n.t('.sql, .sql.gz, or an archive of pg_dump'), choose: async () => askFile(root) },
    separator(vscode.l10n.t('from a running server')),
    { label: `$(server) ${vscode.l10n.t('Copy a database…')}`, description: 'postgres://…', choose: async () => askServer(place, passwords, address) },
  ];
  const picked = await askPick(place, vscode.l10n.t('What should the first branch hold? Where it comes from is only read'), items);
  if (picked === undefined || picked === BACK) {
    return picked;
  }
  return picked.choose?.();
}

function separator(label: string): SourceItem {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}

function dump(path: string): ChosenSource {
  return { source: { kind: 'dump', path } };
}

async function askFile(root: string): Promise<ChosenSource | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    title: vscode.l10n.t('Choose a Dump'),
    openLabel: vscode.l10n.t('Start with This'),
    defaultUri: vscode.Uri.file(root),
    filters: { [vscode.l10n.t('Dumps')]: ['sql', 'gz', 'dump', 'pgdump', 'backup'], [vscode.l10n.t('All files')]: ['*'] },
  });
  const file = chosen?.[0];
  return file === undefined ? undefined : dump(file.fsPath);
}

async function askServer(place: StepPlace, passwords: Passwords, last?: string): Promise<Answered<ChosenSource>> {
  const text = await askText(
    { ...place, step: 2, totalSteps: 3 },
    {
      prompt: vscode.l10n.t('Address of the database; the password is asked for next'),
      placeholder: 'postgres://user@host:5432/database',
      fault: addressFault,
      ...(last === undefined ? {} : { value: last }),
    },
  );
  if (text === undefined || text === BACK) {
    return text;
  }
  const address = splitAddress(text);
  if (address === undefined) {
    return undefined;
  }
  const known = address.password ?? (await passwords.get(address.url));
  const password = await askText(
    { ...place, step: 2, totalSteps: 3 },
    {
      prompt: vscode.l10n.t('Password for {0}; kept in the editor’s secret storage only. Leave it empty if there is none', new URL(address.url).host),
      placeholder: vscode.l10n.t('Password'),
      password: true,
      ...(known === undefined ? {} : { value: known }),
    },
  );
  if (password === undefined || password === BACK) {
    return password;
  }
  return {
    source: { kind: 'server', url: joinAddress(address.url, password) },
    address: address.url,
    keep: async () => passwords.keep(address.url, password),
  };
}
