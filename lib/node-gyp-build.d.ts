declare module 'node-gyp-build' {
  /** Loads the addon of the package in `folder`: its prebuilt binary, or the one that node-gyp built. */
  export default function load(folder: string): unknown;
}
