/* Rescue: a cache whose index is damaged starts again with a new one, and nothing that is not in the bucket gets lost.
 *
 *     CACHE/lost+found/files/PATH            what was not uploaded, by its path in the mount
 *     CACHE/lost+found/blobs/NUMBER          cached files that nothing names for certain
 *     CACHE/lost+found/README                what happened, and a line a file; a later rescue writes README-2, …
 *     CACHE/lost+found/index.mdb.damaged     the old index, steady.damaged, journal.damaged; of the last rescue only
 *
 * Nothing below lost+found is read, sent or counted by the cache again: it is the admin's. Before the threads start; the
 * caller holds the cache's lock file. For cache/ .c files only. */
#ifndef TOOTFS_RESCUE_H
#define TOOTFS_RESCUE_H

#include "internal.h"

/* After index_open said -EUCLEAN with `damage`: everything that has to be kept gets its place in lost+found, and the list
 * is made. Neither blobs nor index are touched: it can be done any number of times. -EMEDIUMTYPE, -EPROTO (another bucket's,
 * a newer format: nothing is done), -errno; then *why has words. */
int rescue_save(struct cache *cache, const char *damage, struct buf *why) MUST_CHECK;
/* What rescue_save has made is the truth from here on; the bucket is known to answer. */
int rescue_commit(struct cache *cache) MUST_CHECK;
/* Where a rescue was committed and not ended: the old index goes, the blobs go, the list gets its name. Before index_open. */
int rescue_end(struct cache *cache) MUST_CHECK;
/* Where the new index counts blobs from, or 0. */
uint64_t rescue_first_blob(struct cache *cache);
/* Uploads that the old index had under way become the new one's, which aborts them. After index_open. */
int rescue_adopt(struct cache *cache) MUST_CHECK;
/* Says that there is something in lost+found. */
void rescue_remind(const struct cache *cache);

#endif
