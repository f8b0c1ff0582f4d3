/* Ours is what has a record in the index: one is made before the upload is begun and deleted after its end (multipart.c), so
 * whoever sees the upload first and looks for the record then cannot miss it. A record whose id is not known yet, and a wish
 * for the key, which may be a copy in parts under way, speak for every upload of that key. */
#include "abandoned.h"

#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/bucket/bucket_uploads.h"
#include "cache/index/pending.h"
#include "internal.h"

struct search {
	const struct abandoned *upload;
	bool found;
};

static int is_it(void *arg, const struct upload_record *record)
{
	struct search *s = arg;

	s->found = strcmp(record->key, s->upload->key) == 0 &&
		   (!record->id[0] || strcmp(record->id, s->upload->id) == 0);
	return s->found;
}

/* 1, 0 or -errno. */
static int is_ours(struct cache *cache, const struct abandoned *upload)
{
	struct txn *txn AUTO_ABORT = NULL;
	struct search search = {.upload = upload};
	struct pending_record pending;
	int r = txn_begin_read(cache->flow.index, &txn);

	if (!r)
		r = uploads_each(txn, is_it, &search);
	if (r < 0 || search.found)
		return r < 0 ? r : 1;
	if (strlen(upload->key) > KEY_BYTES_MAX)
		return 0;
	r = pending_get(txn, upload->key, &pending);
	return r == -ENOENT ? 0 : r ? r : 1;
}

struct each {
	struct cache *cache;
	int64_t age_s, now_ns;
	abandoned_visit *visit;
	void *arg;
};

static int each_one(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	const struct each *e = arg;
	const struct abandoned upload = {key, id, initiated_ns};
	bool old = initiated_ns ? (e->now_ns - initiated_ns) / 1000000000 >= e->age_s : e->age_s == 0;
	int r = old || e->age_s == 0 ? is_ours(e->cache, &upload) : 1;

	return r ? r < 0 ? r : 0 : e->visit(e->arg, &upload);
}

int abandoned_each(struct cache *cache, int64_t age_s, abandoned_visit *visit, void *arg)
{
	struct each each = {cache, age_s, clock_wall_ns(), visit, arg};

	return bucket_uploads_each(cache->flow.bucket, each_one, &each);
}

int abandoned_abort(struct cache *cache, const struct abandoned *upload)
{
	int r = is_ours(cache, upload);

	if (r)
		return r < 0 ? r : -EBUSY;
	return bucket_upload_abort(cache->flow.bucket, upload->key, upload->id);
}

const char *abandoned_why(void)
{
	return bucket_why();
}
