/* A version is the first `size` bytes of its blob, and published bytes are never changed in place: an upload may be
 * reading them, and a failed handle must find them again. So:
 *
 *   append to what is published   → in the same blob, behind the published bytes
 *   any other change              → a new blob: empty, or a clone (shared extents where the filesystem can)
 *   change of an unpublished blob → in place
 *
 * The new blob has no name in the index until it is published; a killed daemon leaves it to the sweep. */
#include "draft.h"

#include <assert.h>
#include <errno.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/flow/checkpoint.h"
#include "cache/flow/evict.h"
#include "cache/flow/fill.h"
#include "cache/flow/send.h"
#include "cache/flow/want.h"
#include "cache/index/ages.h"

static bool is_private(const struct node *node)
{
	return node->locked.draft && node->locked.blob != node->locked.published_blob;
}

/* Takes what a blob of this size needs beyond `reserved` out of the room. */
static int account(struct draft_room *room, uint64_t *reserved, uint64_t size)
{
	uint64_t want = space_of(size);
	if (want <= *reserved)
		return 0;
	if (room->have < want - *reserved) {
		room->need = want - *reserved;
		return -ENOBUFS;
	}
	room->have -= want - *reserved;
	*reserved = want;
	return 0;
}

static void begin_locked(struct node *node)
{
	node->locked.draft = true;
	node->locked.draft_mtime_ns = clock_wall_ns();
}

/* A new blob with the first keep bytes of the present content, with room for size bytes. */
static int renew_locked(struct node *node, uint64_t keep, uint64_t size, struct draft_room *room)
	REQUIRES(&node->lock)
{
	struct flow *flow = node->flow;
	struct open_blob *open;
	uint64_t id, reserved = 0;
	int fd, r = 0;

	if (keep)
		r = node_open_blob_locked(node);
	if (!r)
		r = account(room, &reserved, size > keep ? size : keep);
	if (r)
		return r;
	r = index_new_blob(flow->index, &id);
	if (!r)
		r = keep ? blob_clone(flow->blobs, node->locked.open->fd, keep, id, &fd)
			 : blob_create(flow->blobs, id, &fd);
	if (!r)
		r = open_blob_new(id, fd, &open);
	if (r) {
		room->have += reserved;
		return r;
	}
	open_blob_put(&node->locked.open);
	node->locked.open = open;
	node->locked.published_reserved = node->locked.reserved;
	node->locked.reserved = reserved;
	node->locked.blob = id;
	node->locked.size = keep;
	node->locked.draft_written = keep ? UINT64_MAX : 0;
	begin_locked(node);
	return 0;
}

/* The published blob goes on behind its published bytes. */
static int append_locked(struct node *node, uint64_t end, struct draft_room *room)
	REQUIRES(&node->lock)
{
	int r = node_open_blob_locked(node);
	if (!r)
		r = account(room, &node->locked.reserved, end);
	if (r)
		return r;
	/* a reverted or killed append may have left bytes there */
	if (ftruncate(node->locked.open->fd, (off_t)node->locked.published_size))
		return -errno;
	node->locked.draft_written = UINT64_MAX;
	begin_locked(node);
	return 0;
}

/* Is the published content here as a whole and right, so that it can be cloned or appended to? */
static bool is_whole_locked(const struct node *node)
{
	return node_covers_locked(node, 0, node->locked.size) && fill_proved_locked(node);
}

int draft_prepare_locked(struct node *node, uint64_t offset, uint64_t end, struct draft_room *room)
{
	uint64_t size = node->locked.size;
	if (node->locked.draft_error)
		return node->locked.draft_error;
	if (is_private(node)) {
		if (node->locked.draft_written != UINT64_MAX && offset < node->locked.draft_written) {
			stream_break_locked(node->flow->sends, node);
			node->locked.draft_written = UINT64_MAX;
		}
		node->locked.draft_mtime_ns = clock_wall_ns();
		return account(room, &node->locked.reserved, end > size ? end : size);
	}
	if (size == 0 || (offset == 0 && end >= size))
		return renew_locked(node, 0, end, room);
	if (!is_whole_locked(node))
		return -EAGAIN;
	if (offset < node->locked.published_size || node->locked.content == CONTENT_REMOTE)
		return renew_locked(node, size, end, room);
	if (!node->locked.draft)
		return append_locked(node, end, room);
	node->locked.draft_mtime_ns = clock_wall_ns();
	return account(room, &node->locked.reserved, end > size ? end : size);
}

void draft_wrote_locked(struct node *node, uint64_t offset, uint64_t end)
{
	if (end > node->locked.size)
		node->locked.size = end;
	if (node->locked.draft_written == UINT64_MAX)
		return;
	if (offset != node->locked.draft_written) { /* a hole: what is in order cannot be told any more */
		stream_break_locked(node->flow->sends, node);
		node->locked.draft_written = UINT64_MAX;
		return;
	}
	node->locked.draft_written = end;
	stream_written_locked(node->flow->sends, node, end);
}

static int resize_in_place_locked(struct node *node, uint64_t size, struct draft_room *room)
	REQUIRES(&node->lock)
{
	int r = account(room, &node->locked.reserved, size);
	if (r)
		return r;
	if (ftruncate(node->locked.open->fd, (off_t)size))
		return -errno;
	if (node->locked.draft_written != UINT64_MAX && size != node->locked.draft_written) {
		stream_break_locked(node->flow->sends, node);
		node->locked.draft_written = size ? UINT64_MAX : 0;
	}
	if (space_of(size) < node->locked.reserved) {
		room->have += node->locked.reserved - space_of(size);
		node->locked.reserved = space_of(size);
	}
	return 0;
}

int draft_truncate_locked(struct node *node, uint64_t size, struct draft_room *room)
{
	int r;
	if (node->locked.draft_error)
		return node->locked.draft_error;
	if (size == 0 && !is_private(node))
		return renew_locked(node, 0, 0, room);
	if (!is_whole_locked(node))
		return -EAGAIN;
	if (is_private(node)) {
		r = resize_in_place_locked(node, size, room);
	} else if (size < node->locked.published_size || node->locked.content == CONTENT_REMOTE ||
		   !node->locked.blob) {
		uint64_t keep = size < node->locked.size ? size : node->locked.size;
		r = renew_locked(node, keep, size, room);
		if (!r && ftruncate(node->locked.open->fd, (off_t)size))
			r = -errno;
	} else {
		r = node->locked.draft ? 0 : append_locked(node, size, room);
		if (!r)
			r = resize_in_place_locked(node, size, room);
	}
	if (r)
		return r;
	node->locked.size = size;
	node->locked.draft_mtime_ns = clock_wall_ns();
	return 0;
}

/* -- publishing -- */

static int publish_record(struct node *node, struct txn *txn, struct node_record *record)
{
	struct flow *flow = node->flow;
	int r = nodes_get(txn, node_ino(node), record);
	if (r)
		return r;
	record->size = node->locked.size;
	record->content = CONTENT_DIRTY;
	record->version = node->locked.version + 1;
	record->blob = node->locked.blob;
	record->present_bytes = 0;
	record->home[0] = '\0';
	record->flags &= ~(uint32_t)(NODE_GUESSED | NODE_SPARSE);
	if (node->locked.draft_written != record->size)
		record->flags |= NODE_SPARSE;
	record->ctime_ns = clock_wall_ns();
	if (node->locked.draft_mtime_ns)
		record->mtime_ns = node->locked.draft_mtime_ns;
	r = nodes_put(txn, record);
	if (!r && record->blob)
		r = ages_touch(txn, record->ino, evict_stamp(), node->locked.reserved);
	if (!r && !(record->flags & NODE_ORPHAN))
		r = want_put_names(txn, flow->index, record);
	return r;
}

/* A file that was created and closed without a write: the sender waits for its first flush too. */
static bool never_published(const struct node *node)
{
	return node->locked.content == CONTENT_DIRTY && node->locked.version == 0 &&
	       !node->locked.orphan;
}

int draft_publish_locked(struct node *node)
{
	struct flow *flow = node->flow;
	struct txn *txn AUTO_ABORT = NULL;
	struct node_record record;
	if (!node->locked.draft && !never_published(node))
		return 0;
	if (node->locked.draft_error)
		return node->locked.draft_error;
	int r = txn_begin_write(flow->index, &txn);
	if (!r)
		r = publish_record(node, txn, &record);
	if (!r) {
		if (record.blob)
			checkpoint_blob(flow->checkpoints, record.blob);
		r = txn_commit(&txn);
	}
	if (r)
		return r;
	if (node->locked.published_blob && node->locked.published_blob != record.blob)
		checkpoint_condemn(flow->checkpoints, node->locked.published_blob,
				   node->locked.published_reserved);
	node->locked.published_reserved = 0;
	node->locked.published_blob = record.blob;
	node->locked.published_size = record.size;
	node->locked.content = CONTENT_DIRTY;
	node->locked.version = record.version;
	node->locked.guessed = false;
	node->locked.sparse = record.flags & NODE_SPARSE;
	node->locked.draft = false;
	node->locked.draft_mtime_ns = 0;
	ranges_clear(&node->locked.present);
	node_check_locked(node);
	checkpoint_kick(flow->checkpoints);
	return 0;
}

void draft_revert_locked(struct node *node)
{
	struct flow *flow = node->flow;
	if (!node->locked.draft)
		return;
	stream_break_locked(flow->sends, node);
	if (is_private(node)) {
		int r = blob_drop(flow->blobs, node->locked.blob);
		if (r)
			log_error("cache: cannot drop a blob blob=%llu error=%d",
				  (unsigned long long)node->locked.blob, -r);
		space_release(flow->evicts, node->locked.reserved);
		open_blob_put(&node->locked.open);
		node->locked.blob = node->locked.published_blob;
		node->locked.reserved = node->locked.published_reserved;
		node->locked.published_reserved = 0;
	}
	if (node->locked.content != CONTENT_REMOTE &&
	    space_of(node->locked.published_size) < node->locked.reserved) {
		/* appended; the bytes behind the published ones are cut at the next append */
		space_release(flow->evicts,
			      node->locked.reserved - space_of(node->locked.published_size));
		node->locked.reserved = space_of(node->locked.published_size);
	}
	node->locked.size = node->locked.published_size;
	node->locked.draft = false;
	node->locked.draft_error = 0;
	node->locked.draft_mtime_ns = 0;
	node->locked.draft_reverts++;
	node_check_locked(node);
}
