/* What fills write to the index, and what they find there.
 *
 * A blob that a fill made is the node's from the first byte on (blob, published_blob, reserved), but no record names it before the
 * first fill_record_locked: fill->made says so. What is in the index then follows from what is present:
 *
 *   everything    {CLEAN, blob}               once, as no other task is busy, and all of it was found to be right
 *   … unproved    {REMOTE, blob, present}     all but the last piece, so that whoever starts next fetches that and checks
 *   some          {REMOTE, blob, present}     when the fill rests, and every FILL_RECORD_EVERY bytes
 *   nothing       no record; the blob is dropped
 *
 * All of this goes by published_blob, since a draft may lie over the content while it is filled. Who publishes another
 * content, or deletes the node, condemns published_blob as always, recorded or not.
 *
 * Replaced behind our back: {REMOTE, version + 1, size, etag, mtime of the new object}; the old blob goes. Not where this mount has a
 * wish pending for the key: then it is itself the one who changes the object. And not for a node without a name: its
 * key may be somebody else's by now. */
#include "fill_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/index/ages.h"
#include "cache/index/pending.h"

static int read_key(struct txn *txn, const struct fill_task *task, char out[KEY_BYTES_MAX + 1])
{
	struct node_record record;
	int error = nodes_get(txn, node_ino(task->fill->node), &record);

	if (error == -ENOENT || (!error && record.version != task->version))
		return -ECANCELED;
	if (error)
		return error;
	if (record.home[0]) {
		memcpy(out, record.home, sizeof(record.home));
		return 0;
	}
	if ((record.flags & NODE_ORPHAN) && !task->etag[0])
		return -EIO;
	return nodes_key(txn, record.ino, out);
}

int fill_record_key(const struct fill_task *task, char out[KEY_BYTES_MAX + 1])
{
	AUTO_ABORT struct txn *txn = NULL;
	int error = txn_begin_look(task->fill->node->flow->index, &txn);

	return error ? error : read_key(txn, task, out);
}

/* Is the index where this node thinks it is? */
static bool agrees(const struct fill *fill, const struct node *node, const struct node_record *record)
{
	uint64_t blob = fill->made ? 0 : node->locked.published_blob;

	return record->content == CONTENT_REMOTE && record->version == node->locked.version &&
	       record->blob == blob && record->size == node->locked.published_size &&
	       (!record->etag[0] || strcmp(record->etag, node->locked.etag) == 0);
}

/* What the object says of the file it was; where somebody has changed the guess here (ctime is not what the listing
 * said any more), only whether it is a symlink. Never setuid or setgid: whoever may write to the bucket does not get to give
 * programs away. True: something that a caller may have seen is different now. */
static bool attrs_apply(struct node_record *record, const struct object_attrs *attrs)
{
	struct node_record before = *record;

	if (!(record->flags & NODE_GUESSED))
		return false;
	record->flags &= ~(uint32_t)NODE_GUESSED;
	if (!attrs->valid)
		return false;
	bool untouched = record->ctime_ns == record->mtime_ns;
	if (untouched) {
		record->mode = (record->mode & S_IFMT) | (attrs->mode & 01777);
		record->uid = attrs->uid;
		record->gid = attrs->gid;
	}
	if (untouched && attrs->mtime_ns)
		record->mtime_ns = attrs->mtime_ns;
	if (S_ISLNK(attrs->mode) && record->size > 0 && record->size < 4096)
		record->mode = S_IFLNK | 0777;
	return record->mode != before.mode || record->uid != before.uid || record->gid != before.gid ||
	       record->mtime_ns != before.mtime_ns;
}

uint64_t *fill_record_account(struct node *node, uint64_t blob)
{
	if (node->locked.gone || !blob)
		return NULL;
	if (node->locked.blob == blob)
		return &node->locked.reserved;
	if (node->locked.draft && node->locked.published_blob == blob)
		return &node->locked.published_reserved;
	return NULL;
}

static int describe_unproved(const struct node *node, struct node_record *record)
{
	uint64_t size = node->locked.published_size, known = size > FILL_ALIGN ? size - FILL_ALIGN : 0;
	struct ranges present;

	ranges_init(&present);
	int error = known ? ranges_add(&present, 0, known) : 0;
	if (!error)
		record->present_bytes =
			(uint16_t)ranges_encode(&present, record->present, sizeof(record->present));
	ranges_destroy(&present);
	return error;
}

/* What the record is to say of the content. A whole blob costs what its size says, whatever the pieces it came
 * in added up to. */
static int describe(const struct fill *fill, const struct node *node, uint64_t *account,
		    struct node_record *record)
{
	bool whole = ranges_cover(&node->locked.present, 0, node->locked.published_size);
	uint64_t needed = space_of(node->locked.published_size);

	if (whole && *account > needed) {
		space_release(node->flow->evicts, *account - needed);
		*account = needed;
	}
	bool proved = fill->proved || fill->sum.kind == SUM_NONE;
	record->content = whole && proved ? CONTENT_CLEAN : CONTENT_REMOTE;
	record->blob = node->locked.published_blob;
	memcpy(record->etag, node->locked.etag, sizeof(record->etag));
	record->present_bytes = 0;
	if (!whole)
		record->present_bytes = (uint16_t)ranges_encode(&node->locked.present, record->present,
								sizeof(record->present));
	return whole && !proved ? describe_unproved(node, record) : 0;
}

int fill_record_locked(struct fill *fill, struct node *node)
{
	struct flow *flow = node->flow;
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	uint64_t *account = fill_record_account(node, node->locked.published_blob);

	assert(account);
	int error = txn_begin_write(flow->index, &txn);
	if (!error)
		error = nodes_get(txn, node_ino(node), &record);
	if (error)
		return error;
	if (!agrees(fill, node, &record))
		return -ESTALE;
	error = describe(fill, node, account, &record);
	if (error)
		return error;
	bool changed = fill->attrs_known && attrs_apply(&record, &fill->attrs);
	error = nodes_put(txn, &record);
	if (!error)
		error = ages_touch(txn, record.ino, evict_stamp(), *account);
	if (error)
		return error;
	checkpoint_blob(flow->checkpoints, record.blob);
	error = txn_commit(&txn);
	if (error)
		return error;
	node->locked.content = record.content;
	node->locked.guessed = record.flags & NODE_GUESSED;
	fill->made = 0;
	fill->unrecorded = 0;
	fill->recorded = *account;
	fill->changed |= changed;
	checkpoint_kick(flow->checkpoints);
	return 0;
}

/* At once, not after a checkpoint: no record has ever named it, and on a full disk there may be no checkpoint before
 * something goes. */
static void drop_locked(struct fill *fill, struct node *node) REQUIRES(&node->lock);
static void drop_locked(struct fill *fill, struct node *node)
{
	uint64_t *account = fill_record_account(node, fill->made);
	int error = blob_drop(node->flow->blobs, fill->made);

	if (error) /* still there, so still accounted for; the next start sweeps it */
		log_warn("fill: cannot drop a blob blob=%" PRIu64 " error=%s", fill->made, strerror(-error));
	else
		space_release(node->flow->evicts, *account);
	*account = 0;
	node->locked.published_blob = 0;
	ranges_clear(&node->locked.present);
	if (node->locked.blob == fill->made) {
		node->locked.blob = 0;
		open_blob_put(&node->locked.open);
	}
}

void fill_record_rest_locked(struct fill *fill, struct node *node)
{
	uint64_t *account = fill_record_account(node, node->locked.published_blob);
	int error = 0;

	if (!account || node->locked.content != CONTENT_REMOTE)
		return;
	if (fill->unrecorded || (!fill->made && *account != fill->recorded))
		error = fill_record_locked(fill, node);
	if (error)
		log_warn("fill: not recorded ino=%" PRIu64 " error=%s", node_ino(node), strerror(-error));
	if (fill->made)
		drop_locked(fill, node);
}

static int forget_record(struct txn *txn, const struct node *node, struct node_record *record)
{
	int error = nodes_get(txn, node_ino(node), record);

	if (error)
		return error;
	if (record->content != CONTENT_REMOTE || record->blob != node->locked.published_blob)
		return -ESTALE;
	record->blob = 0;
	record->present_bytes = 0;
	error = nodes_put(txn, record);
	return error ? error : ages_delete(txn, record->ino);
}

int fill_record_forget_locked(struct fill *fill, struct node *node)
{
	struct flow *flow = node->flow;
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	uint64_t blob = node->locked.blob;

	ranges_clear(&node->locked.present); /* whatever becomes of the rest */
	node->locked.epoch++;
	fill->unrecorded = 0;
	if (fill->made) {
		drop_locked(fill, node);
		fill->made = 0;
		return 0;
	}
	int error = txn_begin_write(flow->index, &txn);
	if (!error)
		error = forget_record(txn, node, &record);
	if (!error)
		error = txn_commit(&txn);
	if (error)
		return error;
	checkpoint_condemn(flow->checkpoints, blob, node->locked.reserved);
	checkpoint_kick(flow->checkpoints);
	node->locked.reserved = 0;
	fill->recorded = 0;
	node_load_locked(node, &record);
	return 0;
}

/* -- replaced behind our back -- */

static int adopt_record(struct txn *txn, const struct node *node, const char *key, const struct object *object,
			struct node_record *record)
{
	struct pending_record pending;
	const struct fill *fill = node->locked.fill;
	int error = nodes_get(txn, node_ino(node), record);

	if (error)
		return error;
	if (record->content == CONTENT_DIRTY || record->version != node->locked.version ||
	    record->blob != (fill && fill->made ? 0 : node->locked.published_blob))
		return -ECANCELED;
	if (record->flags & NODE_ORPHAN)
		return -EIO;
	error = pending_get(txn, key, &pending);
	if (error != -ENOENT)
		return error ? error : -EAGAIN;
	record->content = CONTENT_REMOTE;
	record->version++;
	record->size = object->size_bytes;
	memcpy(record->etag, object->etag, sizeof(record->etag));
	record->mtime_ns = object->mtime_ns;
	record->ctime_ns = clock_wall_ns();
	record->blob = 0;
	record->present_bytes = 0;
	error = nodes_put(txn, record);
	return error ? error : ages_delete(txn, record->ino);
}

int fill_adopt_locked(struct node *node, const char *key, const struct object *object)
{
	struct flow *flow = node->flow;
	struct fill *fill = node->locked.fill;
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;

	if (node->locked.gone || node->locked.draft)
		return -ECANCELED;
	int error = txn_begin_write(flow->index, &txn);
	if (!error)
		error = adopt_record(txn, node, key, object, &record);
	if (!error)
		error = txn_commit(&txn);
	if (error)
		return error;
	uint64_t blob = node->locked.blob, reserved = node->locked.reserved;
	node_load_locked(node, &record);
	node->locked.epoch++;
	node->locked.reserved = 0;
	if (blob)
		checkpoint_condemn(flow->checkpoints, blob, reserved);
	checkpoint_kick(flow->checkpoints);
	if (fill) {
		fill->made = 0;
		fill->unrecorded = 0;
		fill->recorded = 0;
		fill->attrs_known = false;
		fill->proved = false;
		fill->sum.kind = SUM_NONE;
	}
	return 0;
}

/* 0: the node is the new object's. */
static int replace_locked(struct fill_task *task, struct node *node, const char *key,
			  const struct object *object) REQUIRES(&node->lock);
static int replace_locked(struct fill_task *task, struct node *node, const char *key,
			  const struct object *object)
{
	const char *etag = node->locked.etag;

	if (!fill_task_current(task, node))
		return -ECANCELED;
	bool same_etag = !etag[0] || !object->etag[0] || strcmp(etag, object->etag) == 0;
	bool unknown = !etag[0] && object->size_bytes != node->locked.size;
	return same_etag && !unknown ? -EBADMSG : fill_adopt_locked(node, key, object);
}

int fill_record_replaced(struct fill_task *task, const char *key)
{
	struct node *node = task->fill->node;
	struct object object;
	struct list ready;
	char why[256]; /* of the request that did not fit */

	snprintf(why, sizeof(why), "%s", bucket_why());
	int error = bucket_head(node->flow->bucket, key, &object);
	if (error)
		return error;
	list_init(&ready);
	lock_take(&node->lock);
	uint64_t size = node->locked.size;
	error = replace_locked(task, node, key, &object);
	if (!error)
		fill_fail_locked(task->fill, 0, UINT64_MAX, -ESTALE, &ready);
	lock_drop(&node->lock);
	if (error == -EBADMSG)
		log_error("fill: object cannot be read though it is still the one we know ino=%" PRIu64
			  " key=%s size=%" PRIu64 " expected=%" PRIu64 " why=%s",
			  node_ino(node), key, object.size_bytes, size, why);
	if (error)
		return error;
	log_warn("fill: object was replaced by somebody else ino=%" PRIu64 " key=%s size=%" PRIu64,
		 node_ino(node), key, object.size_bytes);
	if (node->flow->changed)
		node->flow->changed(node->flow->changed_arg, node_ino(node));
	fill_answer(&ready);
	return -ESTALE;
}

/* -- what a guessed node is -- */

static int attrs_record_locked(struct node *node, const struct object_attrs *attrs, bool *changed)
	REQUIRES(&node->lock);
static int attrs_record_locked(struct node *node, const struct object_attrs *attrs, bool *changed)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	int error = txn_begin_write(node->flow->index, &txn);

	if (!error)
		error = nodes_get(txn, node_ino(node), &record);
	if (error)
		return error;
	*changed = attrs_apply(&record, attrs);
	error = nodes_put(txn, &record);
	if (!error)
		error = txn_commit(&txn);
	if (error)
		return error;
	node->locked.guessed = false;
	checkpoint_kick(node->flow->checkpoints);
	return 0;
}

static int is_symlink(struct node *node, bool *out)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct node_record record;
	int error = txn_begin_look(node->flow->index, &txn);

	if (!error)
		error = nodes_get(txn, node_ino(node), &record);
	*out = !error && S_ISLNK(record.mode);
	return error;
}

/* By the headers that came with the bytes, or else by asking for them. */
static int learn(struct node *node)
{
	struct fill_task asker = { .fill = NULL };
	struct fill carrier = { .node = node };
	struct object object = { .attrs = { .valid = false } };
	char key[KEY_BYTES_MAX + 1];
	bool changed = false;

	lock_take(&node->lock);
	bool known = node->locked.fill && node->locked.fill->attrs_known;
	if (known)
		object.attrs = node->locked.fill->attrs;
	asker.fill = &carrier;
	asker.version = node->locked.version;
	lock_drop(&node->lock);

	int error = known ? 0 : fill_record_key(&asker, key);
	if (!known && !error)
		error = bucket_head(node->flow->bucket, key, &object);
	if (error) {
		if (error != -ECANCELED)
			log_warn("fill: cannot learn what an object is ino=%" PRIu64 " error=%s",
				 node_ino(node), strerror(-error));
		return error == -ECANCELED ? error : -EIO;
	}
	lock_take(&node->lock);
	if (node->locked.guessed)
		error = attrs_record_locked(node, &object.attrs, &changed);
	lock_drop(&node->lock);
	if (changed && node->flow->changed)
		node->flow->changed(node->flow->changed_arg, node_ino(node));
	return error;
}

int fill_attrs(struct fills *f, struct node *node)
{
	bool symlink;

	lock_take(&node->lock);
	bool guessed = node->locked.guessed && !node->locked.draft;
	uint64_t size = node->locked.size;
	lock_drop(&node->lock);
	if (!guessed || size > FILL_WHOLE_MAX)
		return 0;
	int error = fill_wait_for(f, node, 0, size);
	if (error)
		return error;
	lock_take(&node->lock);
	guessed = node->locked.guessed;
	lock_drop(&node->lock);
	if (guessed)
		error = learn(node);
	if (!error)
		error = is_symlink(node, &symlink);
	if (error || !symlink)
		return error;
	/* The fill that recorded it may not have come to say so yet. */
	if (node->flow->changed)
		node->flow->changed(node->flow->changed_arg, node_ino(node));
	return -ESTALE;
}
