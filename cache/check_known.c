/* What the bucket has against what somebody else knows: two sorted rows side by side, nothing else. */
#include <errno.h>
#include <string.h>
#include "check_internal.h"

struct known {
	struct check_objects objects;
	const struct list_entry *object;
	const char *line;
	check_known_next *next;
	void *arg;
};

static int order(const struct known *k)
{
	if (!k->object || !k->line)
		return k->object ? -1 : 1;
	size_t bytes = strlen(k->line), least = bytes < k->object->key_bytes ? bytes : k->object->key_bytes;
	int d = memcmp(k->object->key, k->line, least);
	return d ? d : (k->object->key_bytes > bytes) - (k->object->key_bytes < bytes);
}

static int step(struct known *k, const struct check_known_visitor *visitor, struct check_known_sums *sums,
		struct buf *why)
{
	int where = order(k), r = 0;

	if (where < 0) {
		sums->objects++;
		sums->object_bytes += k->object->object.size_bytes;
		visitor->only(visitor->arg, k->object->key, true, k->object->object.size_bytes);
	} else if (where > 0) {
		sums->missing++;
		visitor->only(visitor->arg, k->line, false, 0);
	} else {
		sums->both++;
	}
	if (where <= 0)
		r = check_objects_next(&k->objects, &k->object, why);
	if (where >= 0)
		k->line = k->next(k->arg);
	return r;
}

static int compare_all(struct known *k, const struct check_known_visitor *visitor, struct check_known_sums *sums,
		       struct buf *why)
{
	k->line = k->next(k->arg);
	int r = check_objects_next(&k->objects, &k->object, why);
	while (!r && (k->object || k->line)) {
		if (visitor->cancelled && visitor->cancelled(visitor->arg))
			r = -ECANCELED;
		else
			r = step(k, visitor, sums, why);
	}
	if (r == -EILSEQ)
		buf_text(why, "this bucket does not list its keys in byte order, so they cannot be compared in one pass");
	return r;
}

int check_known(const struct cache_config *config, check_known_next *next, void *next_arg,
		const struct check_known_visitor *visitor, struct check_known_sums *sums, struct buf *why)
{
	struct known *k = calloc(1, sizeof(*k));
	struct check_lister *lister = NULL;
	struct bucket *bucket = NULL;
	int r = k ? bucket_open(&config->bucket, &bucket) : -ENOMEM;

	memset(sums, 0, sizeof(*sums));
	if (!r)
		r = bucket_start(bucket);
	if (r && k)
		buf_text(why, bucket_why());
	if (!r)
		r = check_lister_open(bucket, &lister);
	if (!r) {
		*k = (struct known){ .objects = { .page = check_lister_next, .arg = lister },
				     .next = next,
				     .arg = next_arg };
		r = compare_all(k, visitor, sums, why);
		check_objects_destroy(&k->objects);
	}
	if (r && bucket)
		bucket_stop(bucket); /* what is under way is not waited for */
	check_lister_close(&lister);
	if (bucket)
		bucket_stop(bucket);
	bucket_close(&bucket);
	free(k);
	return r;
}
