import * as vscode from 'vscode';
import { registerHistory } from '../history/history.js';
import { registerForget } from '../setup/forget.js';
import { registerSetUp } from '../setup/setUp.js';
import type { Surroundings } from '../surroundings.js';
import { registerAddresses } from './addresses.js';
import { registerBundles } from './bundles.js';
import { registerChangeBranch } from './changeBranch.js';
import { registerCreateBranch } from './createBranch.js';
import { registerExpiry } from './expiry.js';
import { registerGiveBack } from './giveBack.js';
import { registerHelp } from './help.js';
import { registerLogs } from './logs.js';
import { registerPickBranch } from './pickBranch.js';
import { registerServerCommands } from './serverCommands.js';
import { registerSql } from './sql.js';
import { registerSwitchBranch } from './switchBranch.js';

/** Every command that belongs to no surface of its own. */
export function registerCommands(around: Surroundings): vscode.Disposable {
  return vscode.Disposable.from(
    registerCreateBranch(around),
    registerSwitchBranch(around),
    registerPickBranch(around),
    registerGiveBack(around),
    registerChangeBranch(around),
    registerAddresses(around),
    registerSql(around),
    registerSetUp(around),
    registerForget(around),
    registerExpiry(around),
    registerBundles(around),
    registerHistory(around),
    registerServerCommands(around),
    registerLogs(around),
    registerHelp(around),
  );
}
