// A small extension that the harness proves itself with. It shares state between windows through a file in the workspace.
const fs = require('node:fs');
const path = require('node:path');
const vscode = require('vscode');

exports.activate = (context) => {
  const keep = (...things) => context.subscriptions.push(...things);
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  const status = vscode.window.createStatusBarItem('state', vscode.StatusBarAlignment.Left, 1000);
  status.name = 'Sample';
  status.command = 'sample.ask';
  status.show();
  const log = vscode.window.createOutputChannel('Sample', { log: true });
  keep(status, log);

  const file = path.join(folder.uri.fsPath, '.items');
  const items = () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean) : []);
  const changed = new vscode.EventEmitter();
  const update = () => {
    const head = fs.readFileSync(path.join(folder.uri.fsPath, '.git', 'HEAD'), 'utf8').trim().split('/').at(-1);
    status.text = `$(database) ${head}, ${items().length}${vscode.workspace.isTrusted ? '' : ', restricted'}`;
    status.backgroundColor = items().length > 1 ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
    changed.fire(undefined);
  };
  const write = (list) => {
    fs.writeFileSync(file, list.map((item) => `${item}\n`).join(''));
    log.info(`${list.length} items`);
    update();
  };
  for (const watched of [folder.uri.fsPath, path.join(folder.uri.fsPath, '.git')]) {
    const watcher = fs.watch(watched, update);
    keep({ dispose: () => watcher.close() });
  }
  update();

  keep(
    vscode.window.registerTreeDataProvider('sample.tree', {
      onDidChangeTreeData: changed.event,
      getChildren: () => items(),
      getTreeItem: (item) => Object.assign(new vscode.TreeItem(item), { description: 'an item', contextValue: 'item' }),
    }),
    vscode.workspace.registerTextDocumentContentProvider('sample', { provideTextDocumentContent: () => 'old line\nsame line\n' }),
  );

  const notes = vscode.Uri.joinPath(folder.uri, 'notes.txt');
  const run = (name, work) => keep(vscode.commands.registerCommand(`sample.${name}`, work));
  run('add', () => write([...items(), `item ${items().length + 1}`]));
  run('remove', (item) => write(items().filter((other) => other !== item)));
  run('log', () => log.show());
  run('diff', () => vscode.commands.executeCommand('vscode.diff', notes.with({ scheme: 'sample' }), notes, 'notes.txt (sample)'));
  run('ask', async () => {
    const kind = await vscode.window.showQuickPick(['one', 'two'], { title: 'Which kind' });
    if (kind === undefined) return;
    const name = await vscode.window.showInputBox({ title: 'Its name', validateInput: (text) => (text.includes(' ') ? 'no spaces' : undefined) });
    if (name === undefined) return;
    const answer = await vscode.window.showInformationMessage(`Made ${kind} ${name}`, 'Undo');
    if (answer === undefined) return;
    await vscode.window.showWarningMessage('Really undo?', { modal: true, detail: 'It is gone then.' }, 'Undo It');
    await vscode.env.clipboard.writeText(name);
    status.text = `undone ${await vscode.env.clipboard.readText()}`;
  });

  const scm = vscode.scm.createSourceControl('sample', 'Sample SCM', folder.uri);
  scm.inputBox.visible = false;
  const group = scm.createResourceGroup('changes', 'Sample Changes');
  group.resourceStates = [{ resourceUri: notes, command: { command: 'sample.diff', title: 'Open diff' } }];
  const diagnostics = vscode.languages.createDiagnosticCollection('sample');
  diagnostics.set(notes, [new vscode.Diagnostic(new vscode.Range(1, 0, 1, 4), 'This line is the same', vscode.DiagnosticSeverity.Warning)]);
  keep(scm, group, diagnostics);
};
