/* Mending, a case at a time: what was seen is looked at again under the node's lock and in the transaction that changes it;
 * what is no longer so is left alone (-EAGAIN).
 *
 *     UNKNOWN                    names in folders that are complete, as a survey would have made them; a new folder is
 *                                listed when somebody looks into it
 *     GONE, OUTDATED             the node becomes DIRTY under all its names: the sender does the rest
 *     COPY-GONE, NOT-WANTED      the wish is noted
 *     REPLACED                   as a reader would have found it
 *     LOST, DIRTY-LOST, NAME     the name goes, without a wish for its absence; the folder is listed again
 *     BLOB-*                     the node becomes REMOTE without a blob, which is dropped after the next checkpoint */
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/bucket/bucket_uploads.h"
#include "cache/flow/node.h"
#include "cache/flow/want.h"
#include "cache/index/ages.h"
#include "check_internal.h"
#include "rescue_place.h"
#include "survey_apply.h"
#include "tree_internal.h"

static void told(struct check *c, uint64_t ino)
{
	struct flow *flow = &c->cache->flow;

	checkpoint_kick(flow->checkpoints);
	send_kick(flow->sends);
	if (flow->changed && ino)
		flow->changed(flow->changed_arg, ino);
}

/* -- a new object -- */

/* The first name on the way that is new: the kernel may know that there is none. */
struct newcomer {
	uint64_t folder; /* 0 = none yet */
	char name[NAME_BYTES_MAX + 1];
};

static int adopt_part(struct check *c, struct txn *txn, const char *text, const struct object *object, uint64_t *folder,
		      struct newcomer *first)
{
	struct name name;
	uint64_t ino;
	int r = names_get(txn, *folder, text, &name);

	if (!r && !name.folder)
		return -EAGAIN;
	if (!r) {
		*folder = name.ino;
		return object ? -EAGAIN : 0;
	}
	if (r != -ENOENT)
		return r;
	if (!first->folder) {
		first->folder = *folder;
		strcpy(first->name, text);
	}
	r = survey_apply_name(txn, c->cache->config, *folder, text, object, &ino);
	if (!r && !object)
		*folder = ino;
	return r;
}

static void tell_kernel(const struct check *c, const struct newcomer *first)
{
	const struct cache_watcher *watcher = &c->cache->watcher;

	if (watcher->named)
		watcher->named(watcher->arg, first->folder, first->name);
	if (watcher->settle)
		watcher->settle(watcher->arg);
}

static int touch(struct txn *txn, uint64_t ino)
{
	struct node_record folder;
	int r = tree_folder(txn, ino, &folder);

	return r ? r : tree_touch_folder(txn, &folder, 0);
}

static int adopt(struct check *c, const struct check_case *k)
{
	AUTO_ABORT struct txn *txn = NULL;
	char text[NAME_BYTES_MAX + 1];
	struct pending_record wish;
	struct newcomer first = {.folder = 0};
	uint64_t folder = INO_ROOT;
	int r = txn_begin_write(c->cache->flow.index, &txn);

	if (!r)
		r = pending_get(txn, k->key, &wish);
	if (r != -ENOENT)
		return r ? r : -EAGAIN;
	r = 0;
	for (const char *at = k->key, *slash; !r; at = slash + 1) {
		slash = strchr(at, '/');
		size_t length = slash ? (size_t)(slash - at) : strlen(at);
		memcpy(text, at, length);
		text[length] = '\0';
		r = adopt_part(c, txn, text, slash ? NULL : k->object, &folder, &first);
		if (!slash)
			break;
	}
	if (!r)
		r = touch(txn, k->facts->parent);
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	told(c, k->facts->parent);
	tell_kernel(c, &first);
	return 0;
}

/* -- the content of a node, with its lock -- */

static bool at_rest_locked(const struct node *node, const struct check_case *k) REQUIRES(&node->lock);
static bool at_rest_locked(const struct node *node, const struct check_case *k)
{
	return !node->locked.gone && !node->locked.draft && !node->locked.stream && !node->locked.fill &&
	       node->locked.published_blob == k->blob;
}

/* It is sent under all its names, though the bucket had it. */
static int send_again_locked(struct check *c, struct node *node, const struct check_case *k) REQUIRES(&node->lock);
static int send_again_locked(struct check *c, struct node *node, const struct check_case *k)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;

	if (!at_rest_locked(node, k))
		return -EAGAIN;
	int r = txn_begin_write(c->cache->flow.index, &txn);
	if (!r)
		r = nodes_get(txn, node_ino(node), &record);
	if (r)
		return r;
	if (record.version != k->facts->node.version || record.content == CONTENT_DIRTY || record.home[0] ||
	    (record.size && record.content != CONTENT_CLEAN))
		return -EAGAIN;
	record.content = CONTENT_DIRTY;
	record.etag[0] = '\0';
	r = nodes_put(txn, &record);
	if (!r)
		r = want_put_names(txn, c->cache->flow.index, &record);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		node_load_locked(node, &record);
	return r;
}

static int want_locked(struct check *c, struct node *node, const struct check_case *k) REQUIRES(&node->lock);
static int want_locked(struct check *c, struct node *node, const struct check_case *k)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;

	if (node->locked.gone)
		return -EAGAIN;
	int r = txn_begin_write(c->cache->flow.index, &txn);
	if (!r)
		r = nodes_get(txn, node_ino(node), &record);
	if (r || record.version != k->facts->node.version)
		return r ? r : -EAGAIN;
	r = want_put(txn, c->cache->flow.index, k->key, &record);
	return r ? r : txn_commit(&txn);
}

static int forget_locked(struct check *c, struct node *node, const struct check_case *k) REQUIRES(&node->lock);
static int forget_locked(struct check *c, struct node *node, const struct check_case *k)
{
	struct flow *flow = &c->cache->flow;
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;

	if (!at_rest_locked(node, k) || node->locked.content == CONTENT_DIRTY)
		return -EAGAIN;
	int r = txn_begin_write(flow->index, &txn);
	if (!r)
		r = nodes_get(txn, node_ino(node), &record);
	if (r)
		return r;
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
	uint64_t reserved = node->locked.reserved;
	node->locked.reserved = 0;
	node_load_locked(node, &record);
	node->locked.epoch += k->code == CHECK_BLOB_WRONG || k->code == CHECK_BLOB_DIFFERS;
	checkpoint_condemn(flow->checkpoints, k->blob, reserved);
	return 0;
}

/* An upload that came through, without its end in the index. */
static int settle_put_locked(struct check *c, struct node *node, const struct check_case *k) REQUIRES(&node->lock);
static int settle_put_locked(struct check *c, struct node *node, const struct check_case *k)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct pending_record wish;
	struct node_record record;

	if (node->locked.gone || node->locked.draft || node->locked.stream)
		return -EAGAIN;
	int r = txn_begin_write(c->cache->flow.index, &txn);
	if (!r)
		r = pending_get(txn, k->key, &wish);
	if (!r)
		r = nodes_get(txn, node_ino(node), &record);
	if (r || wish.ino != record.ino || wish.version != record.version || wish.holds ||
	    record.content != CONTENT_DIRTY || record.nlink != 1 || record.size != k->object->size_bytes)
		return r == -ENOENT || !r ? -EAGAIN : r;
	record.content = CONTENT_CLEAN;
	memcpy(record.etag, k->object->etag, sizeof(record.etag));
	record.home[0] = '\0';
	r = nodes_put(txn, &record);
	if (!r)
		r = pending_delete(txn, k->key);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		node_load_locked(node, &record);
	return r;
}

/* All its names go. */
static int take_out_locked(struct check *c, struct node *node, uint64_t *parent) REQUIRES(&node->lock);
static int take_out_locked(struct check *c, struct node *node, uint64_t *parent)
{
	struct tree_unname u = { .open = node->locked.opens > 0 };
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	char key[KEY_BYTES_MAX + 1];
	int r = txn_begin_write(c->cache->flow.index, &txn);

	while (!r && !u.gone && !u.orphan) {
		r = nodes_get(txn, node_ino(node), &record);
		u.parent = *parent = record.parent;
		u.name = record.name;
		if (!r)
			r = nodes_key_of_name(txn, u.parent, u.name, key);
		if (!r)
			r = tree_unname(c->cache, txn, node_ino(node), &u);
		if (!r)
			r = pending_delete(txn, key);
		if (!r || r == -ENOENT)
			r = touch(txn, *parent);
	}
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		tree_unnamed_locked(c->cache, node, &u);
	return r;
}

static int replace_locked(struct node *node, const struct check_case *k) REQUIRES(&node->lock);
static int replace_locked(struct node *node, const struct check_case *k)
{
	int r = node->locked.version != k->facts->node.version ? -EAGAIN : fill_adopt_locked(node, k->key, k->object);

	return r == -ECANCELED ? -EAGAIN : r;
}

/* Its folder may be listed again: an older object at this key is shown then. */
static int relist(struct check *c, uint64_t parent)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record folder;
	int r = txn_begin_write(c->cache->flow.index, &txn);

	if (!r)
		r = tree_folder(txn, parent, &folder);
	if (r)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	folder.flags &= ~(uint32_t)NODE_COMPLETE;
	r = nodes_put(txn, &folder);
	return r ? r : txn_commit(&txn);
}

static int mend_node(struct check *c, const struct check_case *k)
{
	uint64_t parent = 0;
	struct node *node;
	int r = node_get(c->cache->flow.nodes, k->ino, &node);

	if (r)
		return r == -ENOENT || r == -EISDIR ? -EAGAIN : r;
	lock_take(&node->lock);
	if (k->code == CHECK_GONE || k->code == CHECK_OUTDATED)
		r = send_again_locked(c, node, k);
	else if (k->code == CHECK_COPY_GONE || k->code == CHECK_NOT_WANTED)
		r = want_locked(c, node, k);
	else if (k->code == CHECK_REPLACED)
		r = replace_locked(node, k);
	else if (k->code == CHECK_SETTLED)
		r = settle_put_locked(c, node, k);
	else if (k->code == CHECK_LOST || k->code == CHECK_DIRTY_LOST)
		r = at_rest_locked(node, k) ? take_out_locked(c, node, &parent) : -EAGAIN;
	else
		r = forget_locked(c, node, k);
	lock_drop(&node->lock);
	node_put(&node);
	if (!r && parent)
		r = relist(c, parent);
	if (!r) {
		told(c, k->ino);
		told(c, parent);
	}
	return r;
}

/* -- without a node -- */

/* The name itself, whatever it leads to; the file, if there is one, keeps the name that it has. */
static int drop_name(struct check *c, const struct check_case *k)
{
	struct check_facts facts;
	AUTO_ABORT struct txn *txn = NULL;
	const char *slash = strrchr(k->key, '/'), *text = slash ? slash + 1 : k->key;
	struct name name;
	int r = check_look(c->cache, k->key, &facts);

	if (r != -EUCLEAN)
		return r ? r : -EAGAIN;
	r = txn_begin_write(c->cache->flow.index, &txn);
	if (!r)
		r = names_get(txn, facts.parent, text, &name);
	if (!r)
		r = names_delete(txn, facts.parent, text, name.folder);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		r = relist(c, facts.parent);
	if (!r)
		told(c, facts.parent);
	return r;
}

static int settle_absent(struct check *c, const struct check_case *k)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct pending_record wish;
	int r = txn_begin_write(c->cache->flow.index, &txn);

	if (!r)
		r = pending_get(txn, k->key, &wish);
	if (!r && (wish.want != PENDING_ABSENT || wish.holds))
		return -EAGAIN;
	if (!r)
		r = pending_delete(txn, k->key);
	if (!r)
		r = txn_commit(&txn);
	return r == -ENOENT ? -EAGAIN : r;
}

/* The sender copies it onto itself, and takes the new ETag over. */
static int send_headers(struct check *c, const struct check_case *k)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record node;
	int r = txn_begin_write(c->cache->flow.index, &txn);

	if (!r)
		r = nodes_get(txn, k->ino, &node);
	if (r || node.version != k->facts->node.version || node.content == CONTENT_DIRTY)
		return r == -ENOENT || !r ? -EAGAIN : r;
	r = want_attrs(txn, k->key, &node);
	if (!r)
		r = txn_commit(&txn);
	if (!r)
		told(c, 0);
	return r;
}

static int drop_age(struct check *c, const struct check_case *k)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record node;
	int r = txn_begin_write(c->cache->flow.index, &txn);

	if (!r)
		r = nodes_get(txn, k->ino, &node);
	if (!r && node.blob)
		return -EAGAIN;
	if (!r || r == -ENOENT)
		r = ages_delete(txn, k->ino);
	return r ? r : txn_commit(&txn);
}

static int keep_blob(struct check *c, const struct check_case *k)
{
	struct places p = { .blobs = c->cache->flow.blobs,
			    .folder = -1,
			    .lost = -1,
			    .files = -1,
			    .nameless = -1,
			    .uid = c->cache->config->uid,
			    .gid = c->cache->config->gid };
	AUTO_BUF struct buf where = BUF_EMPTY;
	int r = places_open(&p, c->cache->config->cache);

	if (!r)
		r = place_nameless(&p, k->blob, &where);
	places_close(&p);
	return r ? r : blob_drop(c->cache->flow.blobs, k->blob);
}

int check_mend(struct check *c, const struct check_case *k)
{
	switch (k->code) {
	case CHECK_UNKNOWN:
		return adopt(c, k);
	case CHECK_NAME:
		return drop_name(c, k);
	case CHECK_AGE:
		return drop_age(c, k);
	case CHECK_ORPHAN_BLOB:
		return keep_blob(c, k);
	case CHECK_HEADERS:
		return send_headers(c, k);
	case CHECK_UPLOAD:
		return bucket_upload_abort(c->cache->flow.bucket, k->key, k->upload_id);
	case CHECK_SETTLED:
		return k->object ? mend_node(c, k) : settle_absent(c, k);
	default:
		return mend_node(c, k);
	}
}
