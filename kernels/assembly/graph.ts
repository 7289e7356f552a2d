// A graph of vectors that several threads search and change at once: the entry of the module.
//
// After Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical navigable small world
// graphs" (2018); deletion after Singh et al., "FreshDiskANN" (2021).
//
// Roles: one owner makes the memory, gives nodes out, places them and sweeps; any attached thread searches, inserts what is
// placed, and marks. Each thread has an instance of this module and a block of its own (attach), nobody else's at that time.
//
// Invariants:
// 1. A node's vector, code, norm, label and level are written before the first link to it (an atomic store, so that whoever reads
//    the link and then the node sees them) and do not change until it is freed. Training the quantiser anew is an exception
//    that the owner makes while nobody walks.
// 2. A list of links is written only by who holds the node's lock (one of LOCKS_MAX, shared by many nodes), one atomic word at
//    a time; each word is a node or NONE at every moment, and a reader stops at the first NONE. So a reader locks nothing, and
//    sees some old and some new links at worst. The bits of the node's state from SETTLED_SHIFT on are the same holder's; they
//    say what was compared already, and nothing relies on it.
// 3. A lock names its holder. Who does not get it within about 0.1 s leaves the list alone (counted as SKIPPED): a thread that
//    ended while it held one hangs nobody. Whoever knows that it ended calls releaseLocks().
// 4. A link to a node is added only under the lock of the list, and only if the node is not deleted at that time; marking comes
//    before dooming, and the sweep takes every list's lock. So after a whole sweep no link leads to a doomed node.
// 5. A freed node is used again only when every thread that was at an operation at the end of the sweep has ended it:
//    ACTIVE of each block is 0 or at least the epoch that sweepEnd() returned.
// 6. INDEGREES counts the links on the ground level towards a node, incremented before a link is written and decremented when
//    one is dropped; the last one of a live node is not dropped. A thread that ends in between leaves it off by one, which may
//    leave a node with no link to it, and nothing else.
// 7. Of nodes with equal vectors one is in the graph; the others are its twins, in a chain that the owner alone changes, one store
//    at a time. A twin has no links and none leads to it. One that has left its chain is used again as 5 says, and leads on until then.
export { dotF32, dotI8, squaredF32 } from './distance';
export * from './exported';
export { findPassing, passingAt, setPassing, writePassing } from './filter';
export { admit, insert, insertBatch, place } from './insert';
export { isWalkable } from './check';
export { attach, begin, end } from './memory';
export { hashRow, isSameRow } from './rows';
export { endEarly, find, rank, scan, search, writeResults } from './search';
export { free, mark, nextEpoch, releaseLocks, replaceEntry, sweepAbort, sweepBegin, sweepEnd, sweepNodes } from './sweep';
