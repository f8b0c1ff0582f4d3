/* Sums of objects, and what is learned by comparing with them.
 *
 * An object in parts has the MD5 of its parts' MD5s as ETag, and their number. All parts but the last are equal with nearly
 * every client, so the first one's size would do; the last one's is asked for too, since it tells most of the uploads that
 * are otherwise. What does not fit is not compared: such an object is as good as one without an MD5. */
#include "bucket_sum.h"
#include <errno.h>
#include <string.h>
#include "door.h"

struct part_call {
	const char *key, *etag;
	unsigned number;
	uint64_t bytes;
};

static int attempt_part(struct call *c, void *arg)
{
	struct part_call *p = arg;

	return c->bucket->impl.ops->part_bytes(c->bucket->impl.self, p->key, p->etag, p->number, &p->bytes);
}

static int part_bytes(struct bucket *b, const char *key, const struct object *object, unsigned number, uint64_t *out)
{
	struct part_call p = {.key = key, .etag = object->etag, .number = number};
	int r = door_run(b, BUCKET_HEAD, key, attempt_part, &p);

	*out = p.bytes;
	return r;
}

static bool whole_bucket(int error)
{
	return error == -EHOSTDOWN || error == -EACCES || error == -ENODEV || error == -ECANCELED || error == -ENOMEM;
}

/* 0 with bytes 0: not told. */
static int ask_parts(struct bucket *b, const char *key, const struct object *object, struct sum *sum)
{
	uint64_t first, last;
	int r = part_bytes(b, key, object, 1, &first);

	if (r == 0 && (first == 0 || first == object->size_bytes))
		atomic_store(&b->impl.etags->parts_untold, true);
	if (r || !sum_set_part_bytes(sum, object->size_bytes, first))
		return r ? r : -EINVAL;
	r = part_bytes(b, key, object, sum->parts, &last);
	if (r == 0 && last != object->size_bytes - (sum->parts - 1) * first)
		r = -EINVAL;
	return r;
}

int bucket_sum_parts(struct bucket *b, const char *key, const struct object *object, struct sum *out)
{
	struct sum sum;
	int r = door_key(b, key);

	memset(out, 0, sizeof(*out));
	sum_of_parts_etag(&sum, object->etag);
	if (r || sum.kind == SUM_NONE || !b->impl.etags || !b->impl.ops->part_bytes ||
	    !etags_parts_in_use(b->impl.etags))
		return r;
	if (sum.parts == 1 && object->size_bytes > 0)
		r = sum_set_part_bytes(&sum, object->size_bytes, object->size_bytes) ? 0 : -EINVAL;
	else
		r = ask_parts(b, key, object, &sum);
	if (r == 0)
		*out = sum;
	return whole_bucket(r) ? r : 0;
}

void bucket_sum_fits(struct bucket *b, const struct sum *said)
{
	if (b->impl.etags && said->kind == SUM_MD5)
		etags_fit(b->impl.etags);
	if (b->impl.etags && said->kind == SUM_MD5_PARTS)
		atomic_store(&b->impl.etags->parts_known, true);
}

bool bucket_sum_differs(struct bucket *b, const struct sum *said, bool twice)
{
	if (!b->impl.etags || said->kind == SUM_SHA256)
		return true;
	if (!twice)
		return etags_in_use(b->impl.etags);
	return said->kind == SUM_MD5 ? etags_doubt(b->impl.etags, said) : etags_doubt_parts(b->impl.etags, said);
}
