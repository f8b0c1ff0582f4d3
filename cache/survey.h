/* Survey: the bucket's listing → index, for a bucket that already holds media.
 *
 * Names change only in complete directories, and a listing adds names only to directories that are not complete: so a page that was
 * listed before a local change can never undo it.
 *   survey_folder: one directory, delimiter '/', at once; all its pages are collected into one or several transactions, the last of which
 *     sets NODE_COMPLETE. Two callers for one directory share one listing.
 *   the background survey lists the whole bucket once, without delimiter, a transaction a page, setting NODE_COMPLETE on each
 *     directory whose range it has passed as a whole; its position is in the index (meta "survey"), so that it goes on after a restart. Done: meta
 *     "surveyed".
 * New nodes: REMOTE, size, ETag, mtime = Last-Modified, default owner and modes, NODE_GUESSED; sub-folders of a delimiter listing become
 * directories that are not complete. Markers, bad keys (key.h), keys beyond limits, and an object that has the name of a folder are skipped, counted, logged
 * (the first of each kind, then sums), never deleted. */
#ifndef TOOTFS_SURVEY_H
#define TOOTFS_SURVEY_H

#include <stdint.h>
#include "cache.h"

struct survey;

int survey_open(struct cache *cache, struct survey **out) MUST_CHECK;
int survey_start(struct survey *s) MUST_CHECK; /* the background survey, where it is not done and survey=on */
void survey_stop(struct survey *s);            /* the bucket is stopped before; joins; waiters get -ECANCELED */
void survey_close(struct survey **s);

/* Lists the directory if it is not complete. 0, -ENOENT, -EIO (logged), -ECANCELED. Nothing held; waits for the bucket. */
int survey_folder(struct survey *s, uint64_t ino) MUST_CHECK;
/* shared=SECONDS: lists a complete directory again when its last listing is older; takes over what others have added, removed and
 * replaced, unless a local change of this directory happened meanwhile. Then flow->changed for what changed. */
int survey_refresh(struct survey *s, uint64_t ino) MUST_CHECK;

struct survey_changes {
	uint64_t added, removed, replaced;
};
/* The same at once, whatever shared= says, and the first listing of one that is not known. *out is added to. -ENOENT; -EFBIG: it
 * has too many names; -EAGAIN: it was changed meanwhile; -ECANCELED; errors of bucket_list and of the index, not logged. */
int survey_relist(struct survey *s, uint64_t ino, struct survey_changes *out) MUST_CHECK;

struct survey_stats {
	uint64_t keys, skipped, folders;
	bool running, done;
};
void survey_stats_read(struct survey *s, struct survey_stats *out);

#endif
