/* One node: its record, what lies over it while it is live, its wish, and what failed with it last. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/flow/failures.h"
#include "cache/flow/node.h"
#include "cache/flow/pins.h"
#include "cache/index/names.h"
#include "cache/index/pending.h"
#include "internal.h"
#include "status.h"

_Static_assert((int)STATUS_REMOTE == (int)CONTENT_REMOTE && (int)STATUS_CLEAN == (int)CONTENT_CLEAN &&
		   (int)STATUS_DIRTY == (int)CONTENT_DIRTY,
	       "they are the index's");

const char *status_state_name(enum status_state state)
{
	return state == STATUS_REMOTE ? "REMOTE" : state == STATUS_CLEAN ? "CLEAN" : "DIRTY";
}

/* One name further. */
static int step(struct txn *txn, uint64_t *ino, const char *name)
{
	struct node_record folder;
	struct name found;
	int r = names_get(txn, *ino, name, &found);

	if (!r) {
		*ino = found.ino;
		return 0;
	}
	if (r != -ENOENT || nodes_get(txn, *ino, &folder) || !S_ISDIR(folder.mode))
		return r;
	return folder.flags & NODE_COMPLETE ? -ENOENT : -EAGAIN;
}

int status_find(struct cache *cache, const char *key, uint64_t *ino)
{
	char name[NAME_BYTES_MAX + 1];
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_look(cache->flow.index, &txn);

	*ino = INO_ROOT;
	while (!r && *key) {
		size_t length = strcspn(key, "/");

		if (length > NAME_BYTES_MAX)
			return -ENAMETOOLONG;
		memcpy(name, key, length);
		name[length] = '\0';
		key += length + (key[length] == '/');
		r = step(txn, ino, name);
	}
	return r;
}

static uint64_t present_bytes(const struct node_record *record)
{
	struct ranges ranges;
	uint64_t bytes = 0;

	if (record->content != CONTENT_REMOTE)
		return record->size;
	if (!record->blob || !record->present_bytes)
		return 0;
	ranges_init(&ranges);
	if (ranges_decode(&ranges, record->present, record->present_bytes) == 0)
		bytes = ranges_bytes(&ranges);
	ranges_destroy(&ranges);
	return bytes;
}

static int read_wish(struct txn *txn, struct node_status *out)
{
	struct pending_record wish;
	int r = *out->key ? pending_get(txn, out->key, &wish) : -ENOENT;

	if (r)
		return r == -ENOENT ? 0 : r;
	out->pending = wish.want == PENDING_PUT && wish.ino == out->ino;
	out->since_ns = wish.since_ns;
	out->retry_ns = wish.retry_ns;
	out->attempts = wish.attempts;
	return 0;
}

static int read_record(struct cache *cache, uint64_t ino, struct node_status *out)
{
	struct txn *txn AUTO_ABORT = NULL;
	struct node_record record;
	int r = txn_begin_look(cache->flow.index, &txn);

	if (!r)
		r = nodes_get(txn, ino, &record);
	if (r)
		return r;
	out->ino = ino;
	out->kind = S_ISDIR(record.mode) ? STATUS_FOLDER : S_ISLNK(record.mode) ? STATUS_SYMLINK : STATUS_FILE;
	out->complete = record.flags & NODE_COMPLETE;
	out->state = (enum status_state)record.content;
	out->pinned = pins_hold(cache->flow.pins, txn, &record) == 1;
	out->size = record.size;
	out->version = record.version;
	out->cached_bytes = present_bytes(&record);
	memcpy(out->etag, record.etag, sizeof(out->etag));
	if (!(record.flags & NODE_ORPHAN)) {
		r = nodes_key(txn, ino, out->key);
		if (r == -ENOENT || r == -ENAMETOOLONG) {
			out->key[0] = '\0';
			r = 0;
		}
	}
	return r ? r : read_wish(txn, out);
}

static void read_live(struct node *node, struct node_status *out)
{
	lock_take(&node->lock);
	out->unpublished = node->locked.draft;
	if (node->locked.draft)
		out->size = out->cached_bytes = node->locked.size;
	else if (node->locked.content == CONTENT_REMOTE && node->locked.blob)
		out->cached_bytes = ranges_bytes(&node->locked.present);
	lock_drop(&node->lock);
}

int node_status_read(struct cache *cache, uint64_t ino, struct node_status *out)
{
	struct failure failure;
	struct node *node;
	int r;

	memset(out, 0, sizeof(*out));
	r = read_record(cache, ino, out);
	if (r)
		return r;
	node = out->kind == STATUS_FOLDER ? NULL : node_find(cache->flow.nodes, ino);
	if (node) {
		read_live(node, out);
		node_put(&node);
	}
	if (failures_find(cache->flow.failures, out->key, &failure)) {
		out->failed_ns = failure.at_ns;
		memcpy(out->failed_why, failure.why, sizeof(out->failed_why));
	}
	return 0;
}
