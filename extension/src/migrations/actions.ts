import * as vscode from 'vscode';
import { command } from '../commands/register.js';
import { askName } from '../commands/names.js';
import { detach } from '../detach.js';
import type { Surroundings } from '../surroundings.js';
import { sentences } from '../views/words.js';
import { fileUri } from './paths.js';
import { driftText, rehearsalText } from './render.js';
import { rehearse } from './rehearse.js';
import { fileName } from './rows.js';
import { apply, long, tryOut, undo, withToken, type Tools } from './run.js';
import { saveMigrations } from './save.js';
import { chooseMigration, chooseMigrations, chooseProject, type MigrationTarget } from './target.js';

/** Every command about migrations. */
export function registerActions(tools: Tools): vscode.Disposable {
  const { around } = tools;
  const { requests } = around.server;
  /** A command about a folder, or about a project or file in it. */
  const on = (name: string, title: string, run: (target: MigrationTarget) => Promise<unknown>, choose = chooseMigrations): vscode.Disposable =>
    command(name, async (argument) => {
      const target = await choose(around, argument, title);
      if (target !== undefined) {
        await run(target);
      }
    });
  return vscode.Disposable.from(
    on('offshoot.applyMigrations', vscode.l10n.t('Apply Pending Migrations'), async ({ ready, project }) => apply(tools, ready, only(project))),
    on('offshoot.rollBackMigration', vscode.l10n.t('Roll Back Newest Migration'), async ({ ready, project }) => apply(tools, ready, { ...only(project), direction: 'down' })),
    on('offshoot.undoMigrations', vscode.l10n.t('Undo Migrations'), async ({ ready }) => undo(tools, ready)),
    on('offshoot.tryMigration', vscode.l10n.t('Apply on a Throwaway'), async (target) => tryOut(tools, target.ready, upTo(around, target), false), chooseMigration),
    on('offshoot.previewMigration', vscode.l10n.t('Preview Diff'), async (target) => tryOut(tools, target.ready, upTo(around, target), true), chooseMigration),
    on('offshoot.measureMigration', vscode.l10n.t('Measure Locks'), async (target) => tryOut(tools, target.ready, { ...upTo(around, target), measure: true }, true), chooseMigration),
    on('offshoot.checkMigrations', vscode.l10n.t('Check Migrations'), async ({ ready, project }) => {
      await saveMigrations(around, ready);
      const report = await long(tools, vscode.l10n.t('Checking migrations'), async (token, cancel) =>
        requests.migrationsCheck(withToken({ folder: ready.folder.uri, ...only(project) }, token), cancel),
      );
      await tools.reports.show(vscode.l10n.t('Check against {0}', report.against), report.markdown);
    }),
    on('offshoot.rehearseMigrations', vscode.l10n.t('Rehearse Merges'), async (target) => {
      const rehearsal = await rehearse(tools, target);
      if (rehearsal !== undefined) {
        await tools.reports.show(vscode.l10n.t('Merges of {0}', rehearsal.mine), rehearsalText(rehearsal));
      }
    }),
    on('offshoot.migrationDrift', vscode.l10n.t('Show Schema Drift'), async (target) => drift(tools, target)),
    on('offshoot.newMigration', vscode.l10n.t('New Migration'), async (target) => create(tools, target)),
    on('offshoot.refreshMigrations', vscode.l10n.t('Refresh Migrations'), async ({ ready }) => {
      // Without `knownOnly`: who asks wants to know, and the branch is woken for it.
      await vscode.window.withProgress({ location: { viewId: 'offshoot.migrations' } }, async () => requests.migrationsStatus({ folder: ready.folder.uri }));
    }),
    on('offshoot.compareMigration', vscode.l10n.t('Open Migration'), async (target) => compare(tools, target), chooseMigration),
  );
}

function only(project: string | undefined): { tool?: string } {
  return project === undefined ? {} : { tool: project };
}

/** A file that is a program runs only with all that is pending: its tool does it. */
function upTo({ migrations }: Surroundings, { ready, project, path }: MigrationTarget): { tool?: string; to?: string } {
  const found = migrations.of(ready)?.status?.projects.find(({ id }) => id === project);
  return { ...only(project), ...(path === undefined || found?.canReplay === false ? {} : { to: path }) };
}

/** What the branch has and its migration files do not make, side by side. */
async function drift(tools: Tools, { ready, project }: MigrationTarget): Promise<void> {
  const { around, reports } = tools;
  await saveMigrations(around, ready);
  const found = await long(tools, vscode.l10n.t('Replaying migrations'), async (token, cancel) =>
    around.server.requests.migrationsDrift(withToken({ folder: ready.folder.uri, ...only(project) }, token), cancel),
  );
  const { expected, actual, branch } = found;
  if (found.drifted === false) {
    await vscode.window.showInformationMessage(vscode.l10n.t('No drift: {0} has the schema that its {1} applied migrations make.', branch, found.replayed));
  } else if (found.passed && expected !== undefined && actual !== undefined) {
    const title = vscode.l10n.t('Schema drift of {0} (migration files ↔ branch)', branch);
    await reports.compare(title, 'drift.sql', { label: vscode.l10n.t('files'), text: expected }, { label: vscode.l10n.t('branch'), text: actual });
  } else {
    await reports.show(vscode.l10n.t('Drift of {0}', branch), driftText(found));
  }
}

/** A new migration from what the branch has and the files do not make. */
async function create({ around }: Tools, target: MigrationTarget): Promise<void> {
  const project = await chooseProject(around, target);
  const title = vscode.l10n.t('New Migration from the Difference');
  const prompt = vscode.l10n.t('A name for it, such as add_suppliers. It gets what the branch has and the migration files do not make.');
  const { folder } = target.ready;
  const made = await askName({ title, prompt, taken: [] }, async (name) =>
    around.server.withProgress(vscode.l10n.t('Writing a migration'), async (token, cancel) =>
      around.server.requests.migrationsNew(withToken({ folder: folder.uri, name, ...only(project?.id ?? target.project) }, token), cancel),
    ),
  );
  for (const path of made?.files ?? []) {
    await vscode.window.showTextDocument(fileUri(target.ready, path), { preview: false });
  }
  const failed = made?.proof?.outcome === 'failed' ? made.proof : undefined;
  const notes = [...(made?.notes ?? []), ...(failed === undefined ? [] : [sentences(failed.failure?.message ?? failed.message, failed.hint)])];
  if (notes.length > 0) {
    await vscode.window.showWarningMessage(notes.join('\n'));
  }
}

/** The file beside what ran; if that is not known, beside what git has of it, or alone if git has the same. */
async function compare({ around, reports }: Tools, { ready, project, path }: MigrationTarget): Promise<void> {
  if (path === undefined) {
    return;
  }
  const uri = fileUri(ready, path);
  const name = fileName(path);
  const { branch, text, why } = await around.server.requests.migrationsRan({ folder: ready.folder.uri, path, ...only(project) });
  if (text !== undefined) {
    const title = vscode.l10n.t('{0} (as it ran on {1} ↔ now)', name, branch);
    await reports.beside(title, name, { label: vscode.l10n.t('ran on {0}', branch), text }, uri);
    return;
  }
  detach(vscode.window.showInformationMessage(vscode.l10n.t('What ran on {0} cannot be shown: {1} Shown is the difference from what git has committed.', branch, sentences(why ?? '', undefined))));
  await vscode.commands.executeCommand('vscode.open', uri);
  const all = await vscode.commands.getCommands(true);
  if (all.includes('git.openChange')) {
    await vscode.commands.executeCommand('git.openChange', uri);
  }
}

/** Keeps the context keys that menus and welcome texts go by. */
export function registerMigrationKeys({ migrations, server }: Surroundings): vscode.Disposable {
  const last = new Map<string, unknown>();
  const update = (): void => {
    const { folders } = migrations;
    const projects = folders.flatMap(({ status }) => status?.projects ?? []);
    const own = projects.flatMap(({ branches: [first] }) => (first === undefined ? [] : [first]));
    const state = projects.length > 0 ? 'ready' : folders.some(({ error }) => error !== undefined) ? 'failed' : folders.some(({ status }) => status === undefined) ? 'reading' : 'none';
    const keys = {
      'offshoot.migrationsState': state,
      'offshoot.migrationsPending': own.some(({ pending }) => pending > 0),
      'offshoot.migrationsUndo': own.some(({ undo: snapshot }) => snapshot !== undefined),
      'offshoot.migrationsDown': projects.some(({ commands }) => commands.down !== undefined),
      'offshoot.migrationsReplay': projects.some(({ canReplay }) => canReplay),
      'offshoot.migrationsNew': projects.some(({ canNew }) => canNew),
    };
    for (const [key, value] of Object.entries(keys)) {
      const text = JSON.stringify(value);
      if (last.get(key) !== text) {
        last.set(key, text);
        vscode.commands.executeCommand('setContext', key, value).then(undefined, () => undefined);
      }
    }
  };
  update();
  return vscode.Disposable.from(migrations.onDidChange(update), server.onDidChangeState(update));
}
