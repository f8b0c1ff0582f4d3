/* What a power cut has damaged, looked for by short transactions, since a file that must be looked at on a slow disk takes its
 * time.
 *
 * Copies of what the bucket has: opening one is enough, the node forgets a blob that is not sound. They are visited from the
 * oldest on, up to those that were used since the start, which were opened then.
 *
 * Unsent files: a checkpoint made each durable, so this needs a disk that lied, or one that lost
 * sectors. There is no copy of such a file anywhere: it is not sent, since that would replace what the bucket may have of
 * an earlier version by something broken, and it does not stay in the tree, where it could be taken for whole.
 *
 * Its blob gets a name in lost+found; then one transaction takes its names and their wishes away, but makes no wish for
 * their absence; then the folder is listed again, which shows an earlier version. */
#include <errno.h>
#include <string.h>
#include "cache/base/log.h"
#include "cache/flow/checkpoint.h"
#include "cache/flow/sound.h"
#include "cache/index/ages.h"
#include "cache/index/pending.h"
#include "rescue_internal.h"
#include "survey.h"
#include "sweep_internal.h"
#include "tree_internal.h"

/* What is left of the node's content gets its place. */
static int keep(struct sweep *s, const char *key, const struct node_record *record, bool missing)
{
	struct rescue r = {.places = {.blobs = s->flow->blobs, .uid = s->cache->config->uid,
				      .gid = s->cache->config->gid}};
	int error = places_open(&r.places, s->cache->config->cache);
	if (!error && !missing)
		error = place_file(&r.places, key, record, NULL, &r.where);
	if (error == -EEXIST || error == -ENOTDIR || error == -ENAMETOOLONG)
		error = place_nameless(&r.places, record->blob, &r.where);
	if (!error)
		error = note_append(&r.places, key, missing ? "nothing of it is left" : buf_string(&r.where));
	if (!error)
		log_error("cache: LOST in a power cut: an unsent file is not whole, it is not sent path=%s kept=%s%s", key,
			  missing ? "nothing" : "lost+found/", missing ? "" : buf_string(&r.where));
	places_close(&r.places);
	buf_destroy(&r.where);
	return error;
}

/* All its names go; *parent: a folder that is to be listed again. */
static int take_out_locked(struct sweep *s, struct node *node, uint64_t *parent) REQUIRES(&node->lock);
static int take_out_locked(struct sweep *s, struct node *node, uint64_t *parent)
{
	struct tree_unname u = {.open = node->locked.opens > 0};
	struct txn *txn AUTO_ABORT = NULL;
	struct node_record record, folder;
	char key[KEY_BYTES_MAX + 1];
	int r = txn_begin_write(s->flow->index, &txn);
	while (!r && !u.gone && !u.orphan) {
		r = nodes_get(txn, node_ino(node), &record);
		u.parent = *parent = record.parent;
		u.name = record.name;
		if (!r)
			r = nodes_key_of_name(txn, u.parent, u.name, key);
		if (!r)
			r = tree_unname(s->cache, txn, node_ino(node), &u);
		if (!r)
			r = pending_delete(txn, key);
		if (!r || r == -ENOENT)
			r = tree_folder(txn, *parent, &folder);
		if (!r)
			r = tree_touch_folder(txn, &folder, 0);
	}
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		tree_unnamed_locked(s->cache, node, &u);
	return r;
}

/* 1 = it is not whole and was taken out, 0 = there is nothing wrong with it. */
static int look_at_locked(struct sweep *s, const char *key, struct node *node, uint64_t *parent)
	REQUIRES(&node->lock);
static int look_at_locked(struct sweep *s, const char *key, struct node *node, uint64_t *parent)
{
	struct node_record record;
	struct txn *txn AUTO_ABORT = NULL;
	int fd = -1;
	if (node->locked.gone || node->locked.draft || node->locked.content != CONTENT_DIRTY ||
	    !node->locked.published_blob || node->locked.published_blob >= s->blob_end)
		return 0;
	int r = txn_begin_read(s->flow->index, &txn);
	if (!r)
		r = nodes_get(txn, node_ino(node), &record);
	if (r)
		return r;
	txn_abort(&txn);
	r = blob_open(s->flow->blobs, record.blob, &fd);
	bool missing = r == -ENOENT, sound = !r && sound_record(s->flow, &record, fd);
	if (fd >= 0)
		close(fd);
	if (sound || (r && !missing))
		return r;
	s->damaged++;
	r = keep(s, key, &record, missing);
	if (!r)
		r = take_out_locked(s, node, parent);
	return r ? r : 1;
}

static int look_at(struct sweep *s, const struct pending_record *wish)
{
	struct node *node;
	uint64_t parent = 0;
	int r = node_get(s->flow->nodes, wish->ino, &node);
	if (r)
		return r == -ENOENT || r == -EISDIR ? 0 : r;
	lock_take(&node->lock);
	r = look_at_locked(s, wish->key, node, &parent);
	lock_drop(&node->lock);
	node_put(&node);
	if (r <= 0)
		return r;
	tree_committed(s->cache);
	if (s->flow->changed)
		s->flow->changed(s->flow->changed_arg, parent);
	return survey_refresh(s->cache->survey, parent);
}

static int next_wish(struct sweep *s, struct pending_record *wish)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_read(s->flow->index, &txn);
	return r ? r : pending_next(txn, wish->key, wish);
}

int sweep_unsent(struct sweep *s)
{
	struct pending_record wish = {.key = ""};
	int r;
	while ((r = next_wish(s, &wish)) == 0) {
		if (atomic_load(&s->stopping))
			return -ECANCELED;
		r = wish.want == PENDING_PUT ? look_at(s, &wish) : 0;
		if (r && r != -ENOENT)
			return r;
	}
	return r == -ENOENT ? 0 : r;
}

/* -- copies -- */

enum { BATCH = 1024 };

struct batch {
	uint64_t stamp, ino; /* where the one before ended */
	uint64_t last_stamp;
	uint64_t inos[BATCH];
	size_t count;
};

static int choose(void *arg, uint64_t ino, uint64_t stamp, uint64_t bytes)
{
	struct batch *b = arg;
	(void)bytes;
	if (stamp < b->stamp || (stamp == b->stamp && ino <= b->ino))
		return 0;
	if (stamp > b->last_stamp)
		return 1;
	b->stamp = stamp;
	b->ino = ino;
	b->inos[b->count++] = ino;
	return b->count == BATCH;
}

static int choose_batch(struct sweep *s, struct batch *b)
{
	struct txn *txn AUTO_ABORT = NULL;
	int r = txn_begin_read(s->flow->index, &txn);
	b->count = 0;
	return r ? r : ages_each(txn, choose, b);
}

static int look_at_copy(struct sweep *s, uint64_t ino)
{
	struct node *node;
	int r = node_get(s->flow->nodes, ino, &node);
	if (r)
		return r == -ENOENT || r == -EISDIR ? 0 : r;
	lock_take(&node->lock);
	if (!node->locked.gone && !node->locked.draft && !node->locked.fill && node->locked.blob &&
	    node->locked.blob < s->doubted && node->locked.content != CONTENT_DIRTY)
		r = node_open_blob_locked(node);
	lock_drop(&node->lock);
	node_put(&node);
	s->damaged += r == -EAGAIN;
	return r == -EAGAIN || r == -ENOENT ? 0 : r;
}

int sweep_copies(struct sweep *s)
{
	struct batch b = {.last_stamp = evict_stamp()};
	int r;
	do {
		r = choose_batch(s, &b);
		for (size_t i = 0; !r && i < b.count; i++)
			r = atomic_load(&s->stopping) ? -ECANCELED : look_at_copy(s, b.inos[i]);
	} while (!r && b.count);
	return r;
}
