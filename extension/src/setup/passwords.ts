import type { Memento, SecretStorage } from 'vscode';
import { addressOfKey, secretKey } from './address.js';

/** Where the list of addresses is kept: the editor's secret storage cannot say what it has. */
const LIST = 'setUp.passwords';

/** The passwords of servers that databases were copied from, in the editor's secret storage. */
export class Passwords {
  private readonly secrets: SecretStorage;
  private readonly memory: Memento;

  constructor(secrets: SecretStorage, memory: Memento) {
    this.secrets = secrets;
    this.memory = memory;
  }

  /** The one for the same user, server and database as in `address`, if it is kept. */
  async get(address: string): Promise<string | undefined> {
    return this.secrets.get(secretKey(address));
  }

  /** Keeps it; an empty one is none and is forgotten. */
  async keep(address: string, password: string): Promise<void> {
    const key = secretKey(address);
    if (password === '') {
      await this.forget(key);
      return;
    }
    await this.secrets.store(key, password);
    await this.memory.update(LIST, [...this.keys().filter((each) => each !== key), key].sort());
  }

  /** What is kept: names for `forget`, and what a person reads. */
  list(): { readonly key: string; readonly address: string }[] {
    return this.keys().map((key) => ({ key, address: addressOfKey(key) }));
  }

  async forget(key: string): Promise<void> {
    await this.secrets.delete(key);
    await this.memory.update(
      LIST,
      this.keys().filter((each) => each !== key),
    );
  }

  private keys(): readonly string[] {
    return this.memory.get<readonly string[]>(LIST, []);
  }
}
