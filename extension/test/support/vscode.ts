/** What pure modules may use of `vscode` at run time: texts, in English. Anything else does not compile in a unit test. */
export const l10n = {
  /** Fills `{0}` and `{name}`. */
  t(message: string, ...args: (string | number | boolean | Record<string, unknown>)[]): string {
    const [first] = args;
    const values: Record<string, unknown> = typeof first === 'object' ? first : Object.fromEntries(args.entries());
    return message.replace(/\{(\w+)\}/g, (hole, key: string) => (key in values ? String(values[key]) : hole));
  },
};
