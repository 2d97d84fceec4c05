/** In place of the module's script where that has not been built. */
export function initSync(): never {
  throw new Error('the schema module is not part of this package');
}

/** Stands for the module's class, which nobody can make. */
export const Comparison = initSync;
