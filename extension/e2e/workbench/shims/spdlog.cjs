// Stands in for the native module `@vscode/spdlog`, so that nothing has to be compiled. Without a working logger, output
// channels of extensions stay empty: the workbench shows them by reading the file that the logger writes.
const fs = require('node:fs');
const path = require('node:path');

const names = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];
let sharedLevel = 2;

class Logger {
  #file;
  #plain = false;
  #level;

  constructor(_kind, _name, file) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    this.#file = fs.openSync(file, 'a');
  }

  #write(level, message) {
    if (this.#file === undefined || level < this.getLevel()) return;
    const line = this.#plain ? message : `${new Date().toISOString().replace('T', ' ').replace('Z', '')} [${names[level]}] ${message}\n`;
    fs.writeSync(this.#file, line);
  }

  trace(message) { this.#write(0, message); }
  debug(message) { this.#write(1, message); }
  info(message) { this.#write(2, message); }
  warn(message) { this.#write(3, message); }
  error(message) { this.#write(4, message); }
  critical(message) { this.#write(5, message); }
  getLevel() { return this.#level ?? sharedLevel; }
  setLevel(level) { this.#level = level; }
  setPattern() {}
  clearFormatters() { this.#plain = true; }
  flush() {}
  drop() {
    if (this.#file !== undefined) fs.closeSync(this.#file);
    this.#file = undefined;
  }
}

exports.version = 0;
exports.Logger = Logger;
exports.setLevel = (level) => { sharedLevel = level; };
exports.setFlushOn = () => {};
exports.createRotatingLogger = async (name, file) => new Logger('rotating', name, file);
exports.createAsyncRotatingLogger = async (name, file) => new Logger('rotating_async', name, file);
