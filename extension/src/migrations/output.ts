import * as vscode from 'vscode';
import type { Surroundings } from '../surroundings.js';
import { plainText } from './plain.js';

/** What tools print: one channel, in the order of the runs. */
export class ToolOutput implements vscode.Disposable {
  private channel: vscode.OutputChannel | undefined;

  /** Shows the channel, and lets the person keep the focus. */
  show(): void {
    this.open().show(true);
  }

  /** A heading above what is printed next. */
  heading(text: string): void {
    this.open().appendLine(`\n# ${text}`);
  }

  /** Runs `work`, and writes what comes for its token meanwhile. */
  async during<R>({ server }: Surroundings, token: string, work: () => Promise<R>): Promise<R> {
    let last = '\n';
    const listening = server.onDidOutput((output) => {
      if (output.token === token) {
        last = output.text;
        this.open().append(plainText(output.text));
      }
    });
    try {
      return await work();
    } finally {
      listening.dispose();
      if (!last.endsWith('\n')) {
        this.open().appendLine('');
      }
    }
  }

  /** Writes a line. */
  line(text: string): void {
    this.open().appendLine(plainText(text));
  }

  dispose(): void {
    this.channel?.dispose();
  }

  private open(): vscode.OutputChannel {
    this.channel ??= vscode.window.createOutputChannel('Offshoot Migrations');
    return this.channel;
  }
}
