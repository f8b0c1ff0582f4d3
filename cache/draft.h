/* Drafts: the unpublished content of a live node; for cache/ .c files only.
 *
 * A draft is begun by the first change after a publish and ends with draft_publish_locked (one transaction: the
 * content is DIRTY at a new version, and pending wants it in the bucket) or draft_revert_locked. */
#ifndef TOOTFS_DRAFT_H
#define TOOTFS_DRAFT_H

#include "cache/flow/node.h"

/* Bytes of the cache that the caller has reserved and not used yet. A call that needs more returns -ENOBUFS with
 * need set: drop the lock, reserve the difference, try again. What is left over is the caller's to release. */
struct draft_room {
	uint64_t have, need;
};

/* Makes [offset, end) writable in node->locked.open and accounts for it; the size is not changed yet. -EAGAIN: the
 * old content must be fetched first (fill_wait_for the whole), then again. -ENOBUFS see above. */
int draft_prepare_locked(struct node *node, uint64_t offset, uint64_t end, struct draft_room *room)
	REQUIRES(&node->lock) MUST_CHECK;
/* [offset, end) was written: the size grows with it, and the stream goes on. */
void draft_wrote_locked(struct node *node, uint64_t offset, uint64_t end) REQUIRES(&node->lock);
/* Errors as of draft_prepare_locked. */
int draft_truncate_locked(struct node *node, uint64_t size, struct draft_room *room)
	REQUIRES(&node->lock) MUST_CHECK;
/* Does nothing without a draft, but for a new file that was never flushed. */
int draft_publish_locked(struct node *node) REQUIRES(&node->lock) MUST_CHECK;
/* Back to the published content. The kernel's idea of the file is then wrong: call flow->changed unlocked. */
void draft_revert_locked(struct node *node) REQUIRES(&node->lock);

#endif
