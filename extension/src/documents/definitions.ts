import * as vscode from 'vscode';
import { readyFolder } from '../model.js';
import type { SchemaObject } from '../protocol/types.js';
import type { Surroundings } from '../surroundings.js';
import { changedFiles } from './gitChanges.js';
import { findStatements, objectOfLine } from './migrations.js';
import { isSummary, refOf, SCHEME } from './uri.js';

/** Where migrations usually are. */
const PLACES = /^(?:[^/]+|(?:.*\/)?(?:migrations?|migrate|db|database|sql|schema|supabase|flyway|changesets)\/.*)$/i;
const NOT_THERE = '**/{node_modules,target,dist,build,.git,vendor}/**';
const MOST_FILES = 800;
const MOST_BYTES = 1_000_000;
/** Places that are told. */
const MOST_PLACES = 20;

/** *Go to Definition* from a summary or an object to the migration that made it what it is. */
export function registerDefinitions({ server }: Surroundings): vscode.Disposable {
  return vscode.languages.registerDefinitionProvider(
    { scheme: SCHEME },
    {
      provideDefinition: async (document, position, cancel): Promise<vscode.Location[]> => {
        const ref = refOf(document.uri);
        const object = ref === undefined ? undefined : isSummary(ref) ? objectOfLine(document.getText().split('\n'), position.line) : ref.object;
        if (ref === undefined || object === undefined) {
          return [];
        }
        const base = readyFolder(server.status, ref.folder)?.project.branches.find(({ name }) => name === ref.branch)?.parent;
        return findInMigrations(vscode.Uri.parse(ref.folder), base, object, cancel);
      },
    },
  );
}

/** Statements about an object in the migrations of a folder: files that this git branch changed first, then by name, the newest first. */
async function findInMigrations(
  folder: vscode.Uri,
  base: string | undefined,
  object: SchemaObject,
  cancel: vscode.CancellationToken,
): Promise<vscode.Location[]> {
  const pattern = new vscode.RelativePattern(folder, '**/*.sql');
  const [all, changed] = await Promise.all([vscode.workspace.findFiles(pattern, NOT_THERE, MOST_FILES, cancel), changedFiles(folder, base)]);
  const files = all.filter(({ path }) => PLACES.test(path.slice(folder.path.length + 1)));
  const isChanged = (uri: vscode.Uri): number => Number(changed.has(uri.fsPath));
  const byName = (a: vscode.Uri, b: vscode.Uri): number => b.path.localeCompare(a.path, 'en', { numeric: true });
  const sorted = files.sort((a, b) => isChanged(b) - isChanged(a) || byName(a, b));
  const found: vscode.Location[] = [];
  for (const file of sorted) {
    if (cancel.isCancellationRequested || found.length >= MOST_PLACES) {
      break;
    }
    const { size } = await vscode.workspace.fs.stat(file);
    if (size <= MOST_BYTES) {
      const text = Buffer.from(await vscode.workspace.fs.readFile(file)).toString('utf8');
      found.push(...findStatements(text, object).map(({ line, column, length }) => new vscode.Location(file, new vscode.Range(line, column, line, column + length))));
    }
  }
  return found;
}
