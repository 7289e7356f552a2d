/** What the tree's slab blocks are for: the tags they are allocated with. */
export const TAG_NAME = 1;
export const TAG_CONTENT = 2;
export const TAG_XATTRS = 3;
export const TAG_SYMLINK = 4;
/** Of the virtual tree: frozen texts and directories of results. */
export const TAG_TEXT = 5;
export const TAG_RESULTS = 6;
/** Of the tree: checksums of large files. */
export const TAG_SUMS = 7;

/** Names by tag, for people. */
export const SLAB_TAG_NAMES: readonly string[] = [
  'free',
  'names',
  'small files',
  'xattrs',
  'symlinks',
  'virtual texts',
  'search results',
  'checksums',
];
