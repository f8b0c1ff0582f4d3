/* What a rig's index holds, and whether the bucket is what it says. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/index/ages.h"
#include "cache/index/names.h"
#include "cache/index/pending.h"
#include "send_rig.h"

#define must(call)                                                                                 \
	do {                                                                                       \
		int must_r = (call);                                                               \
		if (must_r) {                                                                      \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,              \
				strerror(must_r < 0 ? -must_r : must_r));                          \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct node_record send_rig_node(struct send_rig *r, const char *path)
{
	struct node_record record = {0};
	struct txn *txn AUTO_ABORT = NULL;
	struct stat st;
	if (send_rig_look(r, path, &st))
		return record;
	must(txn_begin_read(r->cache.flow.index, &txn));
	int error = nodes_get(txn, st.st_ino, &record);
	if (error == -ENOENT) /* just now */
		return (struct node_record){.ino = 0};
	must(error);
	return record;
}

bool send_rig_pending(struct send_rig *r, const char *key, struct pending_record *out)
{
	struct txn *txn AUTO_ABORT = NULL;
	must(txn_begin_read(r->cache.flow.index, &txn));
	return pending_get(txn, key, out) == 0;
}

uint64_t send_rig_pending_count(struct send_rig *r)
{
	struct txn *txn AUTO_ABORT = NULL;
	uint64_t count;
	must(txn_begin_read(r->cache.flow.index, &txn));
	must(pending_count(txn, &count));
	return count;
}

bool send_rig_evict(struct send_rig *r, const char *path)
{
	struct flow *flow = &r->cache.flow;
	struct node_record record = send_rig_node(r, path);
	struct node *node;
	struct txn *txn;
	if (!record.ino || node_get(flow->nodes, record.ino, &node))
		return false;
	lock_take(&node->lock);
	bool may = !node->locked.gone && node->locked.content == CONTENT_CLEAN && !node->locked.opens && !node->locked.draft &&
		   !node->locked.stream && node->locked.blob;
	if (may) {
		must(txn_begin_write(flow->index, &txn));
		must(nodes_get(txn, record.ino, &record));
		uint64_t blob = record.blob;
		record.content = CONTENT_REMOTE;
		record.blob = 0;
		must(nodes_put(txn, &record));
		must(ages_delete(txn, record.ino));
		must(txn_commit(&txn));
		checkpoint_condemn(flow->checkpoints, blob, node->locked.reserved);
		checkpoint_kick(flow->checkpoints);
		node->locked.reserved = 0;
		node_load_locked(node, &record);
	}
	lock_drop(&node->lock);
	node_put(&node);
	return may;
}

/* -- the end -- */

static int count_upload(void *arg, const struct upload_record *record)
{
	unsigned *count = arg;
	(void)record;
	++*count;
	return 0;
}

static unsigned uploads_left(struct send_rig *r)
{
	struct txn *txn AUTO_ABORT = NULL;
	unsigned count = 0;
	must(txn_begin_read(r->cache.flow.index, &txn));
	must(uploads_each(txn, count_upload, &count));
	return count;
}

bool send_rig_drain(struct send_rig *r, int64_t ms)
{
	const struct timespec pause = {0, 2000000};
	int64_t deadline_ms = clock_ms() + ms;
	while (send_rig_pending_count(r) || uploads_left(r)) {
		if (clock_ms() >= deadline_ms)
			return false;
		checkpoint_hurry(r->cache.flow.checkpoints);
		nanosleep(&pause, NULL);
	}
	return true;
}

struct differ {
	struct send_rig *rig;
	struct txn *txn;
	uint64_t parent;
	char path[KEY_BYTES_MAX + 1];
	size_t files;
	char what[KEY_BYTES_MAX + 256];
};

static int differ(struct differ *d, const char *what)
{
	snprintf(d->what, sizeof(d->what), "%s: %s", d->path, what);
	return 1;
}

static int check_blob(struct differ *d, const struct node_record *record, const struct buf *object)
{
	char *bytes AUTO_FREE = malloc(record->size + 1);
	int fd AUTO_CLOSE = -1;
	if (!record->blob || record->content == CONTENT_REMOTE)
		return 0;
	if (blob_open(d->rig->cache.flow.blobs, record->blob, &fd))
		return differ(d, "its blob is gone");
	if (blob_read(fd, 0, bytes, record->size))
		return differ(d, "its blob is too short");
	return memcmp(bytes, object->data, record->size) ? differ(d, "object and blob differ") : 0;
}

static int check_file(struct differ *d, uint64_t ino)
{
	struct node_record record;
	struct object object;
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	char primary[KEY_BYTES_MAX + 1];
	must(nodes_get(d->txn, ino, &record));
	must(nodes_key(d->txn, ino, primary));
	d->files++;
	if (!store_get(d->rig->store, d->path, &bytes, &object))
		return differ(d, "no object");
	if (record.content == CONTENT_DIRTY)
		return differ(d, "still dirty");
	if (record.home[0] && strcmp(record.home, primary) != 0)
		return differ(d, "still lives elsewhere");
	if (object.size_bytes != record.size)
		return differ(d, "another size");
	if (!strcmp(primary, d->path) && strcmp(object.etag, record.etag) != 0)
		return differ(d, "another ETag");
	if (S_ISLNK(record.mode) && (!object.attrs.valid || !S_ISLNK(object.attrs.mode)))
		return differ(d, "a symlink that does not say so");
	return check_blob(d, &record, &bytes);
}

static int check_name(void *arg, const struct name *name)
{
	struct differ *d = arg;
	size_t length = strlen(d->path);
	snprintf(d->path + length, sizeof(d->path) - length, "%s%s", length ? "/" : "", name->text);
	int r = name->folder ? names_each(d->txn, name->ino, NULL, check_name, d) : check_file(d, name->ino);
	if (d->what[0])
		return 1;
	assert(r == 0);
	d->path[length] = '\0';
	return 0;
}

const char *send_rig_differs(struct send_rig *r)
{
	static struct differ d;
	d = (struct differ){.rig = r};
	must(txn_begin_read(r->cache.flow.index, &d.txn));
	int error = names_each(d.txn, INO_ROOT, NULL, check_name, &d);
	txn_abort(&d.txn);
	assert(error >= 0);
	if (d.what[0])
		return d.what;
	if (store_objects(r->store) != d.files)
		snprintf(d.what, sizeof(d.what), "%zu objects for %zu names", store_objects(r->store), d.files);
	else if (store_uploads(r->store))
		snprintf(d.what, sizeof(d.what), "%zu uploads are left", store_uploads(r->store));
	else if (store_overlaps(r->store))
		snprintf(d.what, sizeof(d.what), "%u requests for one key at a time", store_overlaps(r->store));
	return d.what[0] ? d.what : NULL;
}
