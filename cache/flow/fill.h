/* Fill: bucket → blob. One fill a node at a time, whoever asks; each waiter is answered when its range is there.
 *
 * Small objects (FILL_WHOLE_MAX) are fetched whole, larger ones in ranges with readahead: a window that
 * doubles while reads are sequential (up to 16 MiB ahead, several range requests at a time for one node) and starts small after a
 * seek. Worker threads (downloads) take range tasks from a queue: reads that somebody waits for come before readahead.
 *
 * Per task: space_reserve → blob (index_new_blob, blob_create) where the node has none → bucket_get with If-Match → sink: blob_write,
 * then ranges_add under node.lock, then the waiters that are covered are completed with no lock held. A sink whose node has meanwhile
 * got another content (blob, etag or version changed, gone) stops with -ECANCELED and its bytes are thrown away.
 * When all is there: one transaction {CLEAN, blob, age}; a partial blob is recorded {REMOTE, blob, present, age} when the node's fill comes
 * to rest and about every 64 MiB. checkpoint_blob before each commit.
 *
 * The object's key is read from the index when a task starts: home, else nodes_key. Errors to waiters: -EIO (unreachable, 404, refused;
 * logged with key and bucket_why), -ESTALE: the object was replaced behind our back: the node takes the new
 * size, ETag and mtime (bucket_head; version + 1; old blob condemned), flow->changed is called, this read fails.
 * Never zeros, never a mixture, never an error body. Wrong bytes of the right length: see fill_check.c; -EIO where they come
 * again. An object that is shorter or longer than the node's size: treated as replaced when its
 * ETag differs, else -EIO.
 *
 * NODE_GUESSED nodes: the first answer's attrs (x-amz-meta-mode …) are taken over in the record; see fill_attrs. */
#ifndef TOOTFS_FILL_H
#define TOOTFS_FILL_H

#include "node.h"

enum { FILL_WHOLE_MAX = 4 << 20, FILL_AHEAD_MAX = 16 << 20 };

struct fills;

struct fill_wait {
	struct list link;    /* these two are fill.c's while it waits */
	int error;
	bool proved; /* not before all of the content was checked, as far as it can be */
	uint64_t start, end; /* in bytes, end <= size */
	/* From a worker thread, with no lock held, once. 0, -EIO, -ESTALE, -ENOSPC, -ECANCELED. After 0 look again: the
	 * bytes are there unless they were evicted or changed meanwhile. */
	void (*done)(struct fill_wait *wait, int error);
};

int fills_open(struct flow *flow, struct fills **out) MUST_CHECK;
int fills_start(struct fills *f) MUST_CHECK;
void fills_stop(struct fills *f); /* every waiter gets -ECANCELED; joins. The bucket is stopped before. */
void fills_close(struct fills **f);

/* Asks for [start, end) of a REMOTE node. wait->done will be called, also where this call comes too late; after
 * fills_stop by fills_close. */
void fill_want_locked(struct fills *f, struct node *node, struct fill_wait *wait) REQUIRES(&node->lock);
/* True: it waited, and done() will not be called any more. False: it does not wait, or is about to be called. */
bool fill_cancel_locked(struct fills *f, struct node *node, struct fill_wait *wait) REQUIRES(&node->lock);
/* Waits for it; for all of it: until it is proved. Nothing held. */
int fill_wait_for(struct fills *f, struct node *node, uint64_t start, uint64_t end) MUST_CHECK;
/* Is no check under way that the whole content, which is here, still has to pass? What is built upon it waits for that. */
bool fill_proved_locked(const struct node *node);
/* Readahead where [start, end) was just read from a REMOTE node and is there. Never waits. */
void fill_ahead_locked(struct fills *f, struct node *node, uint64_t start, uint64_t end)
	REQUIRES(&node->lock);
/* For a small GUESSED node: fetches it and learns what it is: its record gets mode, uid, gid, mtime from the object's attrs and loses
 * NODE_GUESSED. If it is a symlink, the record's type changes, and -ESTALE is returned after flow->changed. Nothing held. */
int fill_attrs(struct fills *f, struct node *node) MUST_CHECK;
/* The bucket has this other object at the node's key: the node becomes it, its blob is condemned; flow->changed is the caller's to
 * call. -EAGAIN: this mount has a wish for the key. -ECANCELED: there is an unsent or unpublished content. */
int fill_adopt_locked(struct node *node, const char *key, const struct object *object)
	REQUIRES(&node->lock) MUST_CHECK;

#endif
