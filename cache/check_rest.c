/* What is not a file: ages, sums, wishes, multipart uploads.
 *
 * Wishes are looked at one by one, a request each, so only the first thousands, and none that the sender may be at: in a live
 * cache a wish must have been there for long, and be there still after a while, before it counts as forgotten. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/bucket/bucket_uploads.h"
#include "cache/index/ages.h"
#include "check_internal.h"

enum { WISHES_MAX = 5000, WISH_PAUSE_MS = 3000, BAD_MAX = 256 };
#define WISH_AGE_NS (INT64_C(600) * 1000000000)
#define UPLOAD_AGE_S 86400

/* -- ages -- */

struct ages {
	struct check *check;
	struct txn *txn;
	uint64_t sum;
	uint64_t bad[BAD_MAX];
	size_t count;
};

static int visit_age(void *arg, uint64_t ino, uint64_t stamp, uint64_t bytes)
{
	struct ages *a = arg;
	struct node_record node;
	int r = nodes_get(a->txn, ino, &node);

	(void)stamp;
	a->sum += bytes;
	if (r && r != -ENOENT)
		return r;
	if ((r || !node.blob) && a->count < BAD_MAX)
		a->bad[a->count++] = ino;
	return 0;
}

static int tell_age(struct check *c, uint64_t ino)
{
	char key[KEY_BYTES_MAX + 1] = "";
	struct txn *txn = NULL;
	int r = txn_begin_read(c->cache->flow.index, &txn);

	if (!r && nodes_key(txn, ino, key))
		key[0] = '\0';
	txn_abort(&txn);
	const struct check_case k = { .code = CHECK_AGE, .key = key, .ino = ino, .detail = "no cached copy is there" };
	return r ? r : check_found(c, &k);
}

int check_ages(struct check *c)
{
	struct ages a = { .check = c };
	uint64_t total = 0;
	int r = txn_begin_read(c->cache->flow.index, &a.txn);

	if (!r)
		r = ages_each(a.txn, visit_age, &a);
	if (!r)
		r = ages_total(a.txn, &total);
	txn_abort(&a.txn);
	for (size_t i = 0; !r && i < a.count; i++)
		r = tell_age(c, a.bad[i]);
	const struct check_case k = { .code = CHECK_TOTALS, .key = "", .size = total, .detail = "bytes held in the cache" };
	return !r && a.sum != total ? check_found(c, &k) : r;
}

/* -- sums: only where nothing changes during the walk -- */

int check_totals(struct check *c)
{
	struct index_totals said;
	struct txn *txn = NULL;

	if (c->options->live || c->sums->mended || c->sums->found[CHECK_NAME])
		return 0;
	int r = txn_begin_read(c->cache->flow.index, &txn);
	if (!r)
		r = index_totals(txn, &said);
	txn_abort(&txn);
	/* files without a name, which are still to be swept, are in the index's sums too */
	const struct index_totals *is = &c->counted;
	bool swept = !c->cache->unswept && !c->cache->sweep;
	bool least = said.files >= is->files && said.folders >= is->folders && said.symlinks >= is->symlinks &&
		     said.bytes >= is->bytes;
	bool most = said.files <= is->files && said.folders <= is->folders + 1 && said.symlinks <= is->symlinks &&
		    said.bytes <= is->bytes;
	if (r || (least && (most || !swept)))
		return r;
	const struct check_case k = { .code = CHECK_TOTALS, .key = "", .detail = "files, folders or bytes" };
	return check_found(c, &k);
}

/* -- wishes -- */

/* Does the bucket have what is wished for? */
static int is_settled(struct check *c, const struct pending_record *wish, bool *out, struct object *object)
{
	struct node_record node;
	struct txn *txn = NULL;
	bool by_sum;
	int fd = -1;

	*out = false;
	int r = bucket_head(c->cache->flow.bucket, wish->key, object);
	if (wish->want == PENDING_ABSENT || r) {
		*out = wish->want == PENDING_ABSENT && r == -ENOENT && !wish->holds;
		return r == -ENOENT ? 0 : r;
	}
	r = txn_begin_read(c->cache->flow.index, &txn);
	if (!r)
		r = nodes_get(txn, wish->ino, &node);
	txn_abort(&txn);
	if (r || node.content != CONTENT_DIRTY || node.nlink != 1 || node.version != wish->version || wish->holds ||
	    !node.blob || node.size != object->size_bytes)
		return r == -ENOENT ? 0 : r;
	r = blob_open(c->cache->flow.blobs, node.blob, &fd);
	if (!r)
		r = check_compare(c, wish->key, object, fd, &by_sum);
	*out = !r;
	if (fd >= 0)
		close(fd);
	return r == -ECANCELED ? r : 0; /* what cannot be proved is sent again */
}

static int same_wish(struct check *c, const struct pending_record *wish, bool *out)
{
	AUTO_ABORT struct txn *txn = NULL;
	struct pending_record now;
	int r = txn_begin_look(c->cache->flow.index, &txn);

	if (!r)
		r = pending_get(txn, wish->key, &now);
	*out = !r && now.txn == wish->txn && now.want == wish->want;
	return r == -ENOENT ? 0 : r;
}

static int look_at_wish(struct check *c, const struct pending_record *wish)
{
	const struct timespec pause = { .tv_sec = WISH_PAUSE_MS / 1000 };
	struct object object;
	bool settled = false, same = false;

	if (c->options->live && clock_wall_ns() - wish->since_ns < WISH_AGE_NS)
		return 0;
	int r = is_settled(c, wish, &settled, &object);
	if (r) {
		buf_text(c->why, bucket_why());
		return r;
	}
	if (settled && c->options->live)
		nanosleep(&pause, NULL);
	if (settled)
		r = same_wish(c, wish, &same);
	if (r || !same)
		return r;
	const bool put = wish->want == PENDING_PUT;
	const struct check_case k = { .code = CHECK_SETTLED,
				      .key = wish->key,
				      .ino = wish->ino,
				      .size = put ? object.size_bytes : 0,
				      .detail = put ? "an upload" : "a removal",
				      .object = put ? &object : NULL };
	return check_found(c, &k);
}

static int next_wish(struct check *c, struct pending_record *wish)
{
	AUTO_ABORT struct txn *txn = NULL;
	int r = txn_begin_read(c->cache->flow.index, &txn);

	return r ? r : pending_next(txn, wish->key, wish);
}

int check_wishes(struct check *c)
{
	struct pending_record wish = { .key = "" };
	int r = 0;

	for (unsigned i = 0; !r && i < WISHES_MAX; i++) {
		r = check_cancelled(c) ? -ECANCELED : next_wish(c, &wish);
		if (!r)
			r = look_at_wish(c, &wish);
		check_progress(c);
	}
	return r == -ENOENT ? 0 : r;
}

/* -- uploads -- */

struct own {
	const char *key, *id;
	bool found;
};

static int visit_own(void *arg, const struct upload_record *record)
{
	struct own *own = arg;

	own->found |= !strcmp(record->key, own->key) && (!record->id[0] || !strcmp(record->id, own->id));
	return own->found;
}

static int visit_upload(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	struct check *c = arg;
	struct own own = { .key = key, .id = id };
	struct txn *txn = NULL;

	if (check_cancelled(c))
		return -ECANCELED;
	check_progress(c);
	int64_t age_s = c->options->upload_age_s ? c->options->upload_age_s : UPLOAD_AGE_S;
	if (!initiated_ns || (clock_wall_ns() - initiated_ns) / 1000000000 < age_s)
		return 0;
	int r = txn_begin_read(c->cache->flow.index, &txn);
	if (!r)
		r = uploads_each(txn, visit_own, &own);
	txn_abort(&txn);
	if (r < 0 || own.found)
		return r < 0 ? r : 0;
	const struct check_case k = { .code = CHECK_UPLOAD, .key = key, .detail = "", .upload_id = id };
	return check_found(c, &k);
}

int check_uploads(struct check *c)
{
	int r = bucket_uploads_each(c->cache->flow.bucket, visit_upload, c);

	if (r && r != -ECANCELED)
		buf_text(c->why, bucket_why());
	return r;
}
