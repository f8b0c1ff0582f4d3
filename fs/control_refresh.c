/* POST /refresh {"keys":[KEY…]}: lists again. POST /abort-uploads {"all":bool, "dry":bool}: multipart uploads that somebody
 * began and nobody goes on with, older than a day, or all that are not this mount's. */
#include <errno.h>
#include <string.h>
#include "cache/abandoned.h"
#include "cache/base/clock.h"
#include "cache/refresh.h"
#include "control_verbs.h"

struct asker {
	struct cache *cache;
	struct control_stream *stream;
	int64_t told_ms;
	/* uploads */
	bool dry;
	uint64_t aborted, failed;
};

/* -- refresh -- */

static json_t *of_refresh(const struct refresh_sums *s)
{
	return json_pack("{sI sI sI sI sI}", "folders", (json_int_t)s->folders, "added", (json_int_t)s->added, "removed",
			 (json_int_t)s->removed, "replaced", (json_int_t)s->replaced, "failed", (json_int_t)s->failed);
}

static bool refresh_progress(void *arg, const struct refresh_sums *sums)
{
	struct asker *asker = arg;

	if (control_due(&asker->told_ms))
		control_line(asker->stream, "progress", of_refresh(sums));
	return !control_cancelled(asker->stream);
}

static void refresh_failed(void *arg, const char *key, const char *why)
{
	struct asker *asker = arg;

	control_line(asker->stream, "item", json_pack("{so so}", "key", control_text(key), "message", control_text(why)));
}

int control_refresh(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	struct asker asker = {.stream = stream};
	const struct refresh_visitor visitor = {refresh_progress, refresh_failed, &asker};
	struct refresh_sums sums = {0};
	size_t count;
	const char **keys = control_keys(options, &count);
	int r = keys ? refresh_below(cache, keys, count, &visitor, &sums) : -ENOMEM;

	free(keys);
	control_total(stream, "sums", of_refresh(&sums));
	if (r == -ENOENT)
		control_say(stream, "there is no such file, in the bucket either");
	else if (r == -EIO && sums.failed)
		control_say(stream, "%llu %s as %s", (unsigned long long)sums.failed,
			    sums.failed == 1 ? "folder stays" : "folders stay", sums.failed == 1 ? "it was" : "they were");
	return r;
}

/* -- uploads -- */

static int abort_one(void *arg, const struct abandoned *upload)
{
	struct asker *asker = arg;
	double age_s = upload->initiated_ns ? (double)(clock_wall_ns() - upload->initiated_ns) / 1e9 : -1;
	int r = asker->dry ? 0 : abandoned_abort(asker->cache, upload);

	if (control_cancelled(asker->stream))
		return -ECANCELED;
	if (r == -EBUSY)
		return 0;
	if (r == -ECANCELED || r == -EHOSTDOWN)
		return r;
	asker->aborted += !r;
	asker->failed += r != 0;
	control_line(asker->stream, "item",
		     json_pack("{so sf so}", "key", control_text(upload->key), "age_s", age_s, "message",
			       control_text(r ? abandoned_why() : "")));
	return 0;
}

int control_abort_uploads(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	struct asker asker = {.cache = cache, .stream = stream, .dry = control_switch(options, "dry")};
	int r = abandoned_each(cache, control_switch(options, "all") ? 0 : ABANDONED_AGE_S, abort_one, &asker);

	control_total(stream, "uploads", json_integer((json_int_t)asker.aborted));
	if (r && r != -ECANCELED)
		control_say(stream, "the uploads cannot be told: %s", abandoned_why());
	else if (asker.failed)
		control_say(stream, "%llu could not be aborted", (unsigned long long)asker.failed);
	return r ? r : asker.failed ? -EIO : 0;
}
