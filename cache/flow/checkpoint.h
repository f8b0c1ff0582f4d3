/* Checkpoints: about once a second while anything is dirty, and at once when somebody waits.
 *
 * One thread: index_checkpoint_begin → blobs that new records name are synced → index_checkpoint_commit → blobs
 * that no durable record names any more are dropped (and their space released) → send_kick. Waiters share one.
 * Order of the two lists: the condemned list is taken before begin (all on it were noted after their commit),
 * the sync list after begin (all that the snapshot names were noted before their commit).
 * A checkpoint that fails is logged once per kind, drops nothing, keeps its lists, and is tried again after a
 * second; waiters get the error. After EIO of a sync every further one fails until the next start. */
#ifndef TOOTFS_CHECKPOINT_H
#define TOOTFS_CHECKPOINT_H

#include "cache/base/histogram.h"
#include "flow.h"

struct checkpoints;

int checkpoints_open(struct flow *flow, struct checkpoints **out) MUST_CHECK;
int checkpoints_start(struct checkpoints *c) MUST_CHECK;
/* Joins the thread after one last checkpoint; returns its result. */
int checkpoints_stop(struct checkpoints *c) MUST_CHECK;
void checkpoints_close(struct checkpoints **c);

/* Before the commit of a transaction whose records name a new or changed blob. Leaf lock only. */
void checkpoint_blob(struct checkpoints *c, uint64_t blob);
/* After the commit of a transaction that took a blob out of the records: it is dropped, and bytes of the cache
 * released, after the next checkpoint. */
void checkpoint_condemn(struct checkpoints *c, uint64_t blob, uint64_t bytes);
/* Something was committed: a checkpoint within a second. Cheap; every committer calls it. */
void checkpoint_kick(struct checkpoints *c);
/* Waits until transaction txn is covered; hurries the thread. 0, -ETIMEDOUT, -ECANCELED after the stop, or why the
 * checkpoint failed. Nothing held. */
int checkpoint_wait(struct checkpoints *c, uint64_t txn, int64_t deadline_ms) MUST_CHECK;
/* Also hurries the thread, without waiting (room is needed). */
void checkpoint_hurry(struct checkpoints *c);
/* Has one been under way, or due, for so long? One that failed and is tried again is none of that. */
bool checkpoint_is_stuck(struct checkpoints *c, int64_t for_ms);
struct checkpoint_stats {
	uint64_t failures;
	int error; /* of the last round */
	struct histogram_sums rounds; /* how long those took that succeeded */
};
void checkpoint_stats_read(struct checkpoints *c, struct checkpoint_stats *out);
/* The bytes that were condemned and are not yet released: they come free without anybody's doing. Leaf lock only. */
uint64_t checkpoint_condemned_bytes(struct checkpoints *c);

#endif
