/** The collection that the indexer fills with text chunks; users' collections are numbered from 1. */
export const TEXT_COLLECTION = 0;
