/** Has `using` call a function at the end of its scope, where this Node knows of it. */
export function disposeBy<T extends object>(prototype: T, dispose: (self: T) => void): void {
  if (typeof Symbol.dispose !== 'symbol') return;
  Object.defineProperty(prototype, Symbol.dispose, {
    value: function disposeOf(this: T) {
      dispose(this);
    },
    configurable: true,
    writable: true,
  });
}
