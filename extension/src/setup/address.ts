import { l10n } from 'vscode';

const KEY = 'password:';

/** A server's address in parts that may be kept, and the password, which may not. */
export interface Address {
  /** Without the password. */
  readonly url: string;
  /** As it was in the text, if it was. */
  readonly password: string | undefined;
}

/** What is wrong with what was typed. */
export function addressFault(text: string): string | undefined {
  const url = parse(text);
  if (url === undefined) {
    return l10n.t('Write postgres://user@host:port/database.');
  }
  return url.pathname.length > 1 ? undefined : l10n.t('The name of the database is missing at the end.');
}

/** Takes the password out of a URL. `undefined` if it is none. */
export function splitAddress(text: string): Address | undefined {
  const url = parse(text);
  if (url === undefined) {
    return undefined;
  }
  const password = url.password === '' ? undefined : decodeURIComponent(url.password);
  url.password = '';
  return { url: url.href, password };
}

/** The URL with the password in it; an empty one is none. */
export function joinAddress(address: string, password: string): string {
  const url = new URL(address);
  url.password = encodeURIComponent(password);
  return url.href;
}

/** Under which name the editor's secret storage keeps the password: the same for the same user, server and database. */
export function secretKey(address: string): string {
  const url = new URL(address);
  const port = url.port === '' ? '5432' : url.port;
  return `${KEY}${url.username}@${url.hostname.toLowerCase()}:${port}${url.pathname}`;
}

/** The address that such a name stands for, as a person reads it. */
export function addressOfKey(key: string): string {
  return key.startsWith(KEY) ? key.slice(KEY.length) : key;
}

function parse(text: string): URL | undefined {
  const trimmed = text.trim();
  if (!/^postgres(ql)?:\/\//.test(trimmed) || !URL.canParse(trimmed)) {
    return undefined;
  }
  const url = new URL(trimmed);
  return url.hostname === '' ? undefined : url;
}
