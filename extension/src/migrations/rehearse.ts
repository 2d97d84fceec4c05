import * as vscode from 'vscode';
import type { MigrationsRehearsal } from '../protocol/types.js';
import { RequestError } from '../server/errors.js';
import { sentences } from '../views/words.js';
import { long, withToken, type Tools } from './run.js';
import type { MigrationTarget } from './target.js';

/** Rehearses merges. Asks before the migrations of commits run that nobody has agreed to; `undefined` if the answer is no. */
export async function rehearse(tools: Tools, { ready, project }: MigrationTarget): Promise<MigrationsRehearsal | undefined> {
  const params = { folder: ready.folder.uri, ...(project === undefined ? {} : { tool: project }) };
  const run = async (agreed: boolean): Promise<MigrationsRehearsal> =>
    long(tools, vscode.l10n.t('Rehearsing merges'), async (token, cancel) =>
      tools.around.server.requests.migrationsRehearse(withToken({ ...params, agreed }, token), cancel),
    );
  try {
    return await run(false);
  } catch (error) {
    if (!(error instanceof RequestError && error.rpc.reason === 'notAgreed')) {
      throw error;
    }
    const yes = vscode.l10n.t('Run Them');
    const detail = vscode.l10n.t('They run as a superuser of a throwaway database, which may start programs. Look at what others wrote first.');
    const answer = await vscode.window.showWarningMessage(sentences(error.rpc.message, undefined), { modal: true, detail }, yes);
    return answer === yes ? run(true) : undefined;
  }
}
