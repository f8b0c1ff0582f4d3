/* Open files. A write handle changes a draft (draft.h); what is common to all handles of a file is the live
 * node, what belongs to one handle is only that it is poisoned: once a write of it failed, nothing that comes through
 * it is ever committed. A draft is thrown away as a whole, with what other handles wrote into it: they are poisoned
 * when they come the next time. */
#include "file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/index/ages.h"
#include "draft.h"
#include "file_internal.h"
#include "internal.h"
#include "tree.h"
#include "tree_internal.h"

struct file {
	struct cache *cache;
	struct node *node;
	bool writable;
	atomic_int poisoned; /* 0 or -errno */
	/* node.lock */
	bool unflushed;   /* it changed something since its last flush */
	uint64_t reverts; /* the node's draft_reverts then */
	uint64_t epoch;   /* the node's when it was opened: one handle never reads two objects */
};

uint64_t file_ino(const struct file *file)
{
	return node_ino(file->node);
}

bool file_writable(const struct file *file)
{
	return file->writable;
}

void file_changed(struct cache *cache, uint64_t ino)
{
	if (cache->flow.changed)
		cache->flow.changed(cache->flow.changed_arg, ino);
}

/* -- changing drafts, whoever asks -- */

/* Runs change until it has what it needs: the old content, or room. The lock is held at the call, and again after it. */
static int draft_retry(struct node *node, struct draft_room *room, const struct draft_change *change)
	REQUIRES(&node->lock)
{
	struct flow *flow = node->flow;
	for (;;) {
		room->need = 0;
		int r = change->run(node, change, room);
		if (r != -EAGAIN && r != -ENOBUFS)
			return r;
		uint64_t size = node->locked.size, more = room->need - room->have;
		lock_drop(&node->lock);
		if (r == -EAGAIN) {
			r = size ? fill_wait_for(flow->fills, node, 0, size) : 0;
		} else {
			r = space_reserve(flow->evicts, more, space_patience_ms(flow->evicts));
			if (!r)
				room->have += more;
		}
		lock_take(&node->lock);
		if (!r && node->locked.gone)
			r = -ENOENT;
		if (r)
			return r;
	}
}

int draft_change(struct node *node, const struct draft_change *change)
{
	struct draft_room room = {0, 0};
	int r = draft_retry(node, &room, change);
	if (r && node->locked.draft)
		node->locked.draft_error = r;
	if (room.have)
		space_release(node->flow->evicts, room.have);
	return r;
}

static int poison(struct file *file, int error)
{
	if (error)
		atomic_store(&file->poisoned, error);
	return error;
}

static void note_change(struct file *file, const struct node *node)
{
	file->unflushed = true;
	file->reverts = node->locked.draft_reverts;
}

/* draft_change by way of a handle. */
static int file_change_locked(struct file *file, struct node *node, const struct draft_change *change)
	REQUIRES(&node->lock)
{
	bool lost = file->unflushed && file->reverts != node->locked.draft_reverts;
	int r = lost ? -EIO : draft_change(node, change);
	if (!r && !file->unflushed)
		note_change(file, node);
	return r;
}

static int run_truncate(struct node *node, const struct draft_change *change, struct draft_room *room)
	REQUIRES(&node->lock)
{
	return draft_truncate_locked(node, change->end, room);
}

/* -- open and close -- */

static int new_file(struct cache *cache, struct node *node, bool writable, struct file **out)
{
	struct file *file = calloc(1, sizeof *file);
	if (!file)
		return -ENOMEM;
	file->cache = cache;
	file->node = node;
	file->writable = writable;
	file->epoch = node->locked.epoch;
	node->locked.opens++;
	node->locked.writers += writable;
	*out = file;
	return 0;
}

/* A file from a listing may be a symlink in truth; small ones are asked before somebody reads them. */
static int settle_guess(struct cache *cache, struct node *node)
{
	lock_take(&node->lock);
	bool ask = node->locked.guessed && node->locked.content == CONTENT_REMOTE &&
		   node->locked.size > 0 && node->locked.size <= SYMLINK_BYTES_MAX;
	lock_drop(&node->lock);
	return ask ? fill_attrs(cache->flow.fills, node) : 0;
}

int file_open(struct cache *cache, uint64_t ino, int flags, struct file **out)
{
	struct node *node;
	bool writable = (flags & O_ACCMODE) != O_RDONLY;
	int r = node_get(cache->flow.nodes, ino, &node);
	if (r)
		return r;
	r = settle_guess(cache, node);
	lock_take(&node->lock);
	if (!r && node->locked.gone)
		r = -ENOENT;
	bool empties = !r && writable && (flags & O_TRUNC), truncate = empties && node->locked.size;
	if (truncate) {
		const struct draft_change change = {run_truncate, 0, 0, NULL};
		r = draft_change(node, &change);
	}
	if (!r)
		r = new_file(cache, node, writable, out);
	if (!r && truncate)
		note_change(*out, node);
	if (r && !node->locked.writers)
		draft_revert_locked(node);
	lock_drop(&node->lock);
	if (r)
		node_put(&node);
	else if (empties && !truncate)
		tree_touch(cache, ino); /* O_TRUNC of an empty file changes its times, and nothing else */
	return r;
}

/* The last handle of a node without a name: the node ends. */
static int delete_orphan_locked(struct node *node) REQUIRES(&node->lock)
{
	struct flow *flow = node->flow;
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_write(flow->index, &txn);
	if (!r)
		r = nodes_delete(txn, node_ino(node));
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	node->locked.gone = true;
	if (node->locked.published_blob)
		checkpoint_condemn(flow->checkpoints, node->locked.published_blob,
				   node->locked.reserved);
	checkpoint_kick(flow->checkpoints);
	return 0;
}

void file_close(struct file **file)
{
	struct file *f = *file;
	struct node *node = f->node;
	int r = 0;
	bool reverted = false;
	*file = NULL;
	lock_take(&node->lock);
	node->locked.opens--;
	node->locked.writers -= f->writable;
	if (node->locked.draft && !node->locked.writers) {
		bool seen = !node->locked.orphan || node->locked.opens; /* by whoever reads on */
		if (seen && !node->locked.draft_error)
			r = draft_publish_locked(node);
		reverted = node->locked.draft;
		draft_revert_locked(node);
	}
	if (r)
		log_error("cache: the last writes of a file are lost ino=%llu error=%s",
			  (unsigned long long)node_ino(node), strerror(-r));
	if (node->locked.orphan && !node->locked.opens && !node->locked.gone) {
		r = delete_orphan_locked(node);
		if (r)
			log_error("cache: cannot delete a node without a name ino=%llu error=%s",
				  (unsigned long long)node_ino(node), strerror(-r));
	}
	/* The sender passes over a new file that is being written. After a flush the checkpoint tells it; not so of one that
	 * stays empty. */
	bool never_flushed = f->writable && !node->locked.version && !node->locked.published_blob;
	lock_drop(&node->lock);
	if (reverted)
		file_changed(f->cache, node_ino(node));
	if (never_flushed)
		send_kick(f->cache->flow.sends);
	node_put(&node);
	free(f);
}

/* -- read -- */

struct waiting_read {
	struct fill_wait wait;
	struct file *file;
	struct file_read *read;
};
static_assert(sizeof(struct waiting_read) <= sizeof(((struct file_read *)0)->private),
	      "file_read.private is too small");

static void read_filled(struct fill_wait *wait, int error)
{
	struct waiting_read *w = container_of(wait, struct waiting_read, wait);
	struct file_read *read = w->read;
	int r = error ? error : file_read(w->file, read);
	if (r != -EINPROGRESS)
		read->done(read, r);
}

static int span_of_blob_locked(struct node *node, uint64_t start, uint64_t end, struct span *span)
	REQUIRES(&node->lock)
{
	int r = node_open_blob_locked(node);
	if (r)
		return r;
	*span = (struct span){node->locked.open->fd, start, end - start,
			      open_blob_get(node->locked.open)};
	return 0;
}

/* After -EINPROGRESS the read is no longer ours to look at. */
static void count_read(struct flow_counts *counts, const struct file_read *read, int r)
{
	if (r == -EINPROGRESS)
		return;
	atomic_fetch_add_explicit(read->waits ? &counts->misses : &counts->hits, 1, memory_order_relaxed);
	if (!r)
		atomic_fetch_add_explicit(read->waits ? &counts->miss_bytes : &counts->hit_bytes, read->span.length,
					  memory_order_relaxed);
}

int file_read(struct file *file, struct file_read *read)
{
	struct node *node = file->node;
	struct fills *fills = file->cache->flow.fills;
	int r = -EAGAIN;
	lock_take(&node->lock);
	while (r == -EAGAIN) { /* once more where the blob turned out to be missing */
		uint64_t size = node->locked.size, start = read->offset, end = start + read->length;
		if (end > size || end < start)
			end = size;
		if (file->epoch != node->locked.epoch) {
			r = -ESTALE;
		} else if (start >= end) {
			read->span = (struct span){-1, start, 0, NULL};
			r = 0;
		} else if (node_covers_locked(node, start, end)) {
			r = span_of_blob_locked(node, start, end, &read->span);
			if (!r && node->locked.content == CONTENT_REMOTE && !node->locked.draft)
				fill_ahead_locked(fills, node, start, end);
		} else if (read->no_wait) {
			r = -EINTR;
		} else {
			struct waiting_read *w = (void *)read->private;
			read->waits = true;
			w->file = file;
			w->read = read;
			w->wait = (struct fill_wait){.start = start, .end = end, .done = read_filled};
			fill_want_locked(fills, node, &w->wait);
			r = -EINPROGRESS;
		}
	}
	count_read(&file->cache->flow.counts, read, r); /* a read that waits may be answered, and the file gone, below here */
	lock_drop(&node->lock);
	if (!r)
		evict_touch(file->cache->flow.evicts, node_ino(node));
	return r;
}

bool file_read_cancel(struct file *file, struct file_read *read)
{
	struct node *node = file->node;
	struct waiting_read *w = (void *)read->private;
	lock_take(&node->lock);
	read->no_wait = true;
	bool waited = fill_cancel_locked(file->cache->flow.fills, node, &w->wait);
	lock_drop(&node->lock);
	return waited;
}

void file_span_release(struct span *span)
{
	struct open_blob *open = span->hold;
	span->hold = NULL;
	open_blob_put(&open);
}

/* -- write -- */

static int run_write(struct node *node, const struct draft_change *change, struct draft_room *room)
	REQUIRES(&node->lock)
{
	int r = draft_prepare_locked(node, change->start, change->end, room);
	if (r)
		return r;
	uint64_t length = change->end - change->start;
	r = change->source->copy(change->source->arg, node->locked.open->fd, change->start, length);
	if (r == -EAGAIN || r == -ENOBUFS)
		r = -EIO;
	if (r == -ENOSPC)
		space_disk_full(node->flow->evicts);
	if (!r)
		draft_wrote_locked(node, change->start, change->end);
	return r;
}

int file_write(struct file *file, uint64_t offset, uint64_t length, const struct write_source *source)
{
	const struct draft_change change = {run_write, offset, offset + length, source};
	struct node *node = file->node;
	int r = atomic_load(&file->poisoned);
	if (r || !length)
		return r;
	if (change.end < offset || change.end > INT64_MAX)
		return -EFBIG;
	lock_take(&node->lock);
	r = file_change_locked(file, node, &change);
	lock_drop(&node->lock);
	return poison(file, r);
}

int file_truncate(struct cache *cache, uint64_t ino, struct file *file, uint64_t size, struct stat *out)
{
	const struct draft_change change = {run_truncate, 0, size, NULL};
	struct node *node;
	int r = file ? atomic_load(&file->poisoned) : 0;
	if (!r && size > INT64_MAX)
		r = -EFBIG;
	if (!r)
		r = node_get(cache->flow.nodes, ino, &node);
	if (r)
		return r;
	r = settle_guess(cache, node);
	lock_take(&node->lock);
	if (!r && file)
		r = file_change_locked(file, node, &change);
	else if (!r)
		r = node->locked.gone ? -ENOENT : draft_change(node, &change);
	if (!r && !file)
		r = draft_publish_locked(node); /* no flush will come */
	if (r && !node->locked.writers)
		draft_revert_locked(node);
	lock_drop(&node->lock);
	node_put(&node);
	if (file)
		poison(file, r);
	return r ? r : tree_stat(cache, ino, out);
}

static int run_allocate(struct node *node, const struct draft_change *change, struct draft_room *room)
	REQUIRES(&node->lock)
{
	return change->end > node->locked.size ? draft_truncate_locked(node, change->end, room) : 0;
}

int file_allocate(struct file *file, int mode, uint64_t offset, uint64_t length)
{
	const struct draft_change change = {run_allocate, 0, offset + length, NULL};
	struct node *node = file->node;
	int r = atomic_load(&file->poisoned);
	if (mode & ~FALLOC_FL_KEEP_SIZE)
		return -EOPNOTSUPP;
	if (change.end < offset || change.end > INT64_MAX)
		return -EFBIG;
	if (r)
		return r;
	if (mode & FALLOC_FL_KEEP_SIZE) {
		r = space_reserve(file->cache->flow.evicts, length,
				  clock_ms() + file->cache->flow.config.full_timeout_ms);
		if (!r)
			space_release(file->cache->flow.evicts, length);
		return r;
	}
	lock_take(&node->lock);
	r = file_change_locked(file, node, &change);
	lock_drop(&node->lock);
	return poison(file, r);
}

/* -- commit -- */

/* Publishes; *version is what a wait for the bucket has to wait for, 0 = nothing unsent. */
static int publish(struct file *file, uint64_t *version)
{
	struct node *node = file->node;
	int r = atomic_load(&file->poisoned);
	bool reverted = false;
	lock_take(&node->lock);
	if (!r && file->unflushed && file->reverts != node->locked.draft_reverts)
		r = -EIO;
	/* Without draft_error nothing of a poisoned handle is in the draft: it is others'. */
	bool revert = node->locked.draft_error;
	if (!r) {
		r = draft_publish_locked(node);
		revert |= r != 0;
	}
	if (revert) {
		reverted = node->locked.draft;
		draft_revert_locked(node);
	}
	poison(file, r);
	if (!r)
		file->unflushed = false;
	*version = node->locked.content == CONTENT_DIRTY ? node->locked.version : 0;
	if (node->locked.orphan)
		*version = 0;
	lock_drop(&node->lock);
	if (reverted)
		file_changed(file->cache, node_ino(node));
	return r;
}

static int wait_for_bucket(struct cache *cache, uint64_t ino, uint64_t version)
{
	if (!version)
		return 0;
	int64_t deadline = clock_ms() + 10 * cache->flow.config.io_timeout_ms;
	atomic_fetch_add(&cache->flow.counts.waiters, 1);
	int r = send_wait(cache->flow.sends, ino, version, deadline);
	atomic_fetch_sub(&cache->flow.counts.waiters, 1);
	return r == -ETIMEDOUT ? -EIO : r;
}

int file_flush(struct file *file)
{
	struct cache *cache = file->cache;
	uint64_t version;
	if (!file->writable)
		return 0;
	int r = publish(file, &version);
	if (r || !cache->flow.config.durability_bucket)
		return r;
	r = cache_sync(cache);
	return r ? r : wait_for_bucket(cache, file_ino(file), version);
}

int file_sync(struct file *file)
{
	struct cache *cache = file->cache;
	uint64_t version = 0;
	int r = file->writable ? publish(file, &version) : 0;
	if (!r)
		r = cache_sync(cache);
	if (r || !cache->flow.config.durability_bucket)
		return r;
	return wait_for_bucket(cache, file_ino(file), version);
}

int cache_sync(struct cache *cache)
{
	struct flow *flow = &cache->flow;
	int r = checkpoint_wait(flow->checkpoints, index_newest(flow->index),
				clock_ms() + flow->config.full_timeout_ms);
	return r == -ETIMEDOUT ? -EIO : r;
}
