/* Blobs: is what a record names there, as long as it says, and (deep) what the bucket has?
 *
 *     the record names it, the file is not there or too short, the record (read again) still names it: a finding
 *     deep    the bucket says a checksum of the object we know: the blob's is compared
 *             it says none: the object is read and compared with the blob, byte by byte
 *
 * A blob leaves the disk only after no record names it, so the second look at the record is enough. A file that belongs to
 * nothing is looked for only in a cache that nobody uses and that was closed in order: what is being written, and what a
 * killed process left, is named by nothing either. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "check_internal.h"

/* -- reading the object -- */

enum { PIECE = 64 * 1024 };

struct comparison {
	struct sink sink;
	struct check *check;
	int fd;
	const char *etag;
	uint64_t size, seen;
	bool differs, other;
};

static int begin(struct sink *sink, const struct object *object)
{
	struct comparison *c = (struct comparison *)sink;

	c->other = object->size_bytes != c->size || (c->etag[0] && object->etag[0] && strcmp(c->etag, object->etag) != 0);
	return c->other ? -ESTALE : 0;
}

static int take(struct sink *sink, uint64_t offset, const void *bytes, size_t length)
{
	struct comparison *c = (struct comparison *)sink;
	char here[PIECE];

	if (check_cancelled(c->check))
		return -ECANCELED;
	for (size_t at = 0; at < length && !c->differs;) {
		size_t piece = length - at < PIECE ? length - at : PIECE;
		int r = blob_read(c->fd, offset + at, here, piece);
		if (r)
			return r;
		c->differs = memcmp(here, (const char *)bytes + at, piece) != 0;
		at += piece;
	}
	return c->differs ? -EBADMSG : 0;
}

int check_compare(struct check *c, const char *key, const struct object *object, int fd, bool *by_sum)
{
	struct comparison cmp = { .sink = { begin, take }, .check = c, .fd = fd, .etag = object->etag,
				  .size = object->size_bytes };
	const struct get_request get = { .key = key, .etag = object->etag, .sink = &cmp.sink };
	static const atomic_bool never = false;
	struct sum sum;

	*by_sum = object->sum.kind != SUM_NONE;
	int r = *by_sum ? sum_file(fd, object->size_bytes, object->sum.kind, &never, &sum) : -ENOTSUP;
	if (!r)
		return sum_same(&sum, &object->sum) ? 0 : -EBADMSG;
	if (r != -ENOTSUP)
		return r;
	*by_sum = false;
	r = bucket_get(c->cache->flow.bucket, &get);
	return cmp.differs ? -EBADMSG : cmp.other ? -ESTALE : r;
}

/* CHECK_NONE, BLOB_WRONG or BLOB_DIFFERS. */
static int deep(struct check *c, const struct check_file *file, const struct node_record *node, int fd,
		enum check_code *out)
{
	struct object object;
	bool by_sum;

	if (node->content != CONTENT_CLEAN || node->home[0] || !file->primary || !node->size || c->options->cache_only)
		return 0;
	int r = bucket_head(c->cache->flow.bucket, file->key, &object);
	if (r || object.size_bytes != node->size || strcmp(object.etag, node->etag) != 0)
		return 0; /* the merge tells it */
	r = check_compare(c, file->key, &object, fd, &by_sum);
	if (r == -EBADMSG)
		*out = by_sum ? CHECK_BLOB_WRONG : CHECK_BLOB_DIFFERS;
	return r == -ECANCELED ? r : 0;
}

/* -- what a record names -- */

static int read_node(struct check *c, uint64_t ino, struct node_record *out)
{
	AUTO_ABORT struct txn *txn = NULL;
	int r = txn_begin_look(c->cache->flow.index, &txn);

	return r ? r : nodes_get(txn, ino, out);
}

static int look_at_blob(struct check *c, const struct check_file *file, const struct node_record *node,
			enum check_code *out)
{
	bool dirty = node->content == CONTENT_DIRTY;
	struct stat st;
	int fd = -1, r = blob_open(c->cache->flow.blobs, node->blob, &fd);

	*out = CHECK_NONE;
	if (r == -ENOENT) {
		*out = dirty ? CHECK_DIRTY_LOST : CHECK_BLOB_MISSING;
		return 0;
	}
	if (r)
		return r;
	if (fstat(fd, &st) != 0)
		r = -errno;
	else if (node->content != CONTENT_REMOTE && (uint64_t)st.st_size < node->size)
		*out = dirty ? CHECK_DIRTY_LOST : CHECK_BLOB_SHORT;
	else if (c->options->deep)
		r = deep(c, file, node, fd, out);
	close(fd);
	return r;
}

int check_blob(struct check *c, const struct check_file *file)
{
	struct node_record node, again;
	enum check_code code;

	if (!file->primary || !file->blob)
		return 0;
	int r = read_node(c, file->ino, &node);
	if (r || !node.blob)
		return r == -ENOENT ? 0 : r;
	r = look_at_blob(c, file, &node, &code);
	if (r || code == CHECK_NONE)
		return r;
	r = read_node(c, file->ino, &again);
	if (r || again.blob != node.blob || again.content != node.content || again.version != node.version ||
	    again.size != node.size) {
		c->sums->changed++;
		return r == -ENOENT ? 0 : r;
	}
	const struct check_case k = { .code = code,
				      .key = file->key,
				      .ino = node.ino,
				      .blob = node.blob,
				      .size = node.size,
				      .detail = "" };
	return check_found(c, &k);
}

/* -- what no record names -- */

static int visit_nameless(void *arg, uint64_t ino)
{
	struct check *c = arg;
	struct node_record node;
	int r = read_node(c, ino, &node);

	if (r)
		return r == -ENOENT ? 0 : r;
	return node.blob ? numbers_add(&c->named, node.blob) : 0;
}

static int visit_blob(void *arg, uint64_t id, uint64_t bytes)
{
	struct check *c = arg;

	if (check_cancelled(c))
		return -ECANCELED;
	if (numbers_has(&c->named, id))
		return 0;
	const struct check_case k = { .code = CHECK_ORPHAN_BLOB, .key = "", .blob = id, .size = bytes, .detail = "" };
	return check_found(c, &k);
}

static int swept(struct check *c, bool *out)
{
	AUTO_ABORT struct txn *txn = NULL;
	AUTO_BUF struct buf value = BUF_EMPTY;
	int r = txn_begin_read(c->cache->flow.index, &txn);

	if (!r)
		r = meta_get(txn, "sweep", &value);
	*out = r == -ENOENT;
	return r == -ENOENT ? 0 : r;
}

/* A sweep that is due, or under way, drops what a killed process left. */
int check_orphan_blobs(struct check *c)
{
	AUTO_ABORT struct txn *txn = NULL;
	bool done;

	if (c->options->live || c->cache->sweep || c->cache->unswept)
		return 0;
	int r = swept(c, &done);
	if (r || !done)
		return r;
	r = txn_begin_read(c->cache->flow.index, &txn);
	if (!r)
		r = orphans_each(txn, visit_nameless, c);
	txn_abort(&txn);
	return r ? r : blobs_each(c->cache->flow.blobs, visit_blob, c);
}
