/* The table of live nodes.
 *
 * What `locked` may look like:
 *
 *              draft  content  blob == published_blob  open       fill
 *   at rest    no     any      yes                     any        no
 *   filling    no     REMOTE   yes                     any        yes
 *   appended   yes    not REMOTE (or size 0)  yes      yes        no
 *   rewritten  yes    any      no                      yes        any (of the published blob; it is then thrown away)
 */
#include "node.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/log.h"
#include "cache/index/ages.h"
#include "checkpoint.h"
#include "sound.h"

struct nodes {
	struct flow *flow;
	struct lock lock;
	struct table live; /* guarded by lock */
};

/* -- open blobs -- */

struct open_blob *open_blob_get(struct open_blob *blob)
{
	atomic_fetch_add(&blob->refs, 1);
	return blob;
}

void open_blob_put(struct open_blob **blob)
{
	struct open_blob *b = *blob;
	*blob = NULL;
	if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	close(b->fd);
	free(b);
}

int open_blob_new(uint64_t id, int fd, struct open_blob **out)
{
	struct open_blob *b = malloc(sizeof *b);
	if (!b) {
		close(fd);
		return -ENOMEM;
	}
	atomic_init(&b->refs, 1);
	b->fd = fd;
	b->id = id;
	*out = b;
	return 0;
}

/* -- the table -- */

int nodes_open(struct flow *flow, struct nodes **out)
{
	struct nodes *n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	int r = table_init(&n->live);
	if (r) {
		free(n);
		return r;
	}
	n->flow = flow;
	lock_init(&n->lock);
	*out = n;
	return 0;
}

void nodes_close(struct nodes **nodes)
{
	struct nodes *n = *nodes;
	*nodes = NULL;
	if (!n)
		return;
	assert(n->live.count == 0);
	table_destroy(&n->live);
	lock_destroy(&n->lock);
	free(n);
}

void node_load_locked(struct node *node, const struct node_record *record)
{
	if (node->locked.blob != record->blob)
		open_blob_put(&node->locked.open);
	node->locked.orphan = record->flags & NODE_ORPHAN;
	node->locked.guessed = record->flags & NODE_GUESSED;
	node->locked.sparse = record->flags & NODE_SPARSE;
	node->locked.content = record->content;
	node->locked.version = record->version;
	node->locked.published_size = node->locked.size = record->size;
	node->locked.published_blob = node->locked.blob = record->blob;
	node->locked.published_reserved = 0;
	strcpy(node->locked.etag, record->etag);
	ranges_clear(&node->locked.present);
	node->locked.draft = false;
	node->locked.draft_error = 0;
	node->locked.draft_mtime_ns = 0;
	/* what cannot be decoded counts as absent: it is fetched again */
	if (record->present_bytes &&
	    ranges_decode(&node->locked.present, record->present, record->present_bytes))
		ranges_clear(&node->locked.present);
}

static int node_read(struct nodes *nodes, uint64_t ino, struct node **out)
{
	struct node_record record;
	struct txn *txn AUTO_ABORT = NULL;
	uint64_t stamp, bytes = 0;
	int r = txn_begin_look(nodes->flow->index, &txn);
	if (!r)
		r = nodes_get(txn, ino, &record);
	if (r)
		return r;
	if (S_ISDIR(record.mode))
		return -EISDIR;
	r = ages_get(txn, ino, &stamp, &bytes);
	if (r && r != -ENOENT)
		return r;
	txn_abort(&txn);
	struct node *node = calloc(1, sizeof *node);
	if (!node)
		return -ENOMEM;
	node->link.id = ino;
	atomic_init(&node->refs, 1);
	node->flow = nodes->flow;
	lock_init(&node->lock);
	ranges_init(&node->locked.present);
	lock_take(&node->lock);
	node_load_locked(node, &record);
	node->locked.reserved = bytes;
	lock_drop(&node->lock);
	*out = node;
	return 0;
}

static struct node *find_locked(struct nodes *nodes, uint64_t ino)
{
	struct table_link *link = table_find(&nodes->live, ino);
	if (!link)
		return NULL;
	struct node *node = container_of(link, struct node, link);
	atomic_fetch_add(&node->refs, 1);
	return node;
}

int node_get(struct nodes *nodes, uint64_t ino, struct node **out)
{
	int r = 0;
	lock_take(&nodes->lock);
	*out = find_locked(nodes, ino);
	if (!*out) {
		/* read under the lock: nobody can change the content of a node that is not live */
		r = node_read(nodes, ino, out);
		if (!r)
			table_insert(&nodes->live, &(*out)->link);
	}
	lock_drop(&nodes->lock);
	return r;
}

struct node *node_find(struct nodes *nodes, uint64_t ino)
{
	lock_take(&nodes->lock);
	struct node *node = find_locked(nodes, ino);
	lock_drop(&nodes->lock);
	return node;
}

struct node *node_hold(struct node *node)
{
	/* There is one already, so the node stays; and callers hold node.lock, which comes after nodes.lock. */
	atomic_fetch_add(&node->refs, 1);
	return node;
}

void node_put(struct node **node)
{
	struct node *n = *node;
	*node = NULL;
	if (!n)
		return;
	struct nodes *nodes = n->flow->nodes;
	lock_take(&nodes->lock);
	bool last = atomic_fetch_sub(&n->refs, 1) == 1;
	if (last)
		table_remove(&nodes->live, &n->link);
	lock_drop(&nodes->lock);
	if (!last)
		return;
	assert(!n->locked.opens && !n->locked.fill && !n->locked.stream);
	open_blob_put(&n->locked.open);
	ranges_destroy(&n->locked.present);
	lock_destroy(&n->lock);
	free(n);
}

/* -- content -- */

bool node_covers_locked(const struct node *node, uint64_t start, uint64_t end)
{
	if (start >= end || node->locked.draft || node->locked.content != CONTENT_REMOTE)
		return true;
	return node->locked.blob && ranges_cover(&node->locked.present, start, end);
}

/* The blob is not on disk though the record names it: after a power cut, or somebody cleaned up the cache. The
 * bucket has the content, so the node becomes what it is: REMOTE. */
static int forget_blob_locked(struct node *node) REQUIRES(&node->lock)
{
	struct flow *flow = node->flow;
	struct txn *txn AUTO_ABORT = NULL;
	struct node_record record;
	int r = txn_begin_write(flow->index, &txn);
	if (!r)
		r = nodes_get(txn, node_ino(node), &record);
	if (r)
		return r;
	uint64_t blob = record.blob;
	record.content = CONTENT_REMOTE;
	record.blob = 0;
	record.present_bytes = 0;
	r = nodes_put(txn, &record);
	if (!r)
		r = ages_delete(txn, record.ino);
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	log_warn("cache: blob is missing or not whole, content will be fetched again ino=%llu blob=%llu",
		 (unsigned long long)record.ino, (unsigned long long)blob);
	checkpoint_condemn(flow->checkpoints, blob, node->locked.reserved);
	checkpoint_kick(flow->checkpoints);
	node->locked.reserved = 0;
	node_load_locked(node, &record);
	return -EAGAIN;
}

/* As blob_open; -ENOENT also where the file is not what the record says. */
static int open_sound_locked(struct node *node, int *fd) REQUIRES(&node->lock);
static int open_sound_locked(struct node *node, int *fd)
{
	const struct sound_claim claim = {node->locked.blob, node->locked.published_size,
					  node->locked.content, node->locked.sparse,
					  &node->locked.present};
	int r = blob_open(node->flow->blobs, node->locked.blob, fd);
	if (r || sound_blob(node->flow, &claim, *fd))
		return r;
	close(*fd);
	return -ENOENT;
}

int node_open_blob_locked(struct node *node)
{
	int fd;
	if (node->locked.open)
		return 0;
	assert(node->locked.blob);
	int r = open_sound_locked(node, &fd);
	if (!r)
		return open_blob_new(node->locked.blob, fd, &node->locked.open);
	if (r != -ENOENT)
		return r;
	if (node->locked.content != CONTENT_DIRTY && !node->locked.fill)
		return forget_blob_locked(node);
	log_error("cache: blob with unsent content is missing or not whole ino=%llu blob=%llu",
		  (unsigned long long)node_ino(node), (unsigned long long)node->locked.blob);
	return -EIO;
}

void node_check_locked(const struct node *node)
{
	assert(node->locked.writers <= node->locked.opens);
	assert(!node->locked.draft || node->locked.blob);
	assert(node->locked.draft || node->locked.blob == node->locked.published_blob);
	assert(node->locked.draft || node->locked.size == node->locked.published_size);
	assert(node->locked.content != CONTENT_CLEAN || node->locked.published_blob ||
	       !node->locked.published_size);
	assert(!node->locked.open || node->locked.open->id == node->locked.blob);
}
