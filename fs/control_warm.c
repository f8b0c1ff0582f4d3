/* POST /warm, /evict, /pin, /unpin {"keys":[KEY…]}: what is to be in the cache, and what is not. /pin with "list":true tells
 * what is pinned. */
#include <errno.h>
#include <string.h>
#include "cache/evict_below.h"
#include "cache/warm.h"
#include "control_verbs.h"

struct asker {
	struct control_stream *stream;
	int64_t told_ms;
};

static void tell_key(void *arg, const char *key, const char *message)
{
	struct asker *asker = arg;

	control_line(asker->stream, "item",
		     json_pack("{so so}", "key", control_text(key), "message", control_text(message)));
}

/* -- warm -- */

static json_t *of_warm(const struct warm_sums *s)
{
	return json_pack("{sI sI sI sI sI sI sI sI sb}", "files", (json_int_t)s->files, "bytes", (json_int_t)s->bytes,
			 "files_done", (json_int_t)s->done, "bytes_done", (json_int_t)s->done_bytes, "files_fetched",
			 (json_int_t)s->fetched, "bytes_fetched", (json_int_t)s->fetched_bytes, "failed",
			 (json_int_t)s->failed, "room", (json_int_t)s->room_bytes, "counting", s->counting);
}

static bool warm_progress(void *arg, const struct warm_sums *sums)
{
	struct asker *asker = arg;

	if (control_due(&asker->told_ms))
		control_line(asker->stream, "progress", of_warm(sums));
	return !control_cancelled(asker->stream);
}

static int warm(struct cache *cache, const char *const *keys, size_t count, struct control_stream *stream)
{
	struct asker asker = {.stream = stream};
	const struct warm_visitor visitor = {warm_progress, tell_key, &asker};
	struct warm_sums sums;
	int r = warm_run(cache, keys, count, &visitor, &sums);

	control_line(stream, "progress", of_warm(&sums));
	control_total(stream, "sums", of_warm(&sums));
	if (r == -ENOSPC)
		control_say(stream,
			    "the cache is too small: %llu of %llu files are in it, and for more of them others of them would have to "
			    "go; they are %llu bytes, and it can hold %llu of these",
			    (unsigned long long)sums.done, (unsigned long long)sums.files,
			    (unsigned long long)sums.bytes, (unsigned long long)sums.room_bytes);
	else if (r == -EIO && sums.failed)
		control_say(stream, "%llu could not be fetched", (unsigned long long)sums.failed);
	else if (r == -ENOENT)
		control_say(stream, "there is no such file");
	return r;
}

int control_warm(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	size_t count;
	const char **keys = control_keys(options, &count);
	int r = keys ? warm(cache, keys, count, stream) : -ENOMEM;

	free(keys);
	return r;
}

/* -- evict -- */

static json_t *of_evict(const struct evict_sums *s)
{
	return json_pack("{sI sI sI}", "files", (json_int_t)s->files, "bytes", (json_int_t)s->bytes, "stayed",
			 (json_int_t)s->stayed);
}

static bool evict_progress(void *arg, const struct evict_sums *sums)
{
	struct asker *asker = arg;

	if (control_due(&asker->told_ms))
		control_line(asker->stream, "progress", of_evict(sums));
	return !control_cancelled(asker->stream);
}

int control_evict(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	struct asker asker = {.stream = stream};
	const struct evict_visitor visitor = {evict_progress, tell_key, &asker};
	struct evict_sums sums = {0};
	size_t count;
	const char **keys = control_keys(options, &count);
	int r = keys ? evict_below(cache, keys, count, &visitor, &sums) : -ENOMEM;

	free(keys);
	control_total(stream, "sums", of_evict(&sums));
	if (r == -ENOENT)
		control_say(stream, "there is no such file");
	else if (!r && sums.stayed)
		control_say(stream, "%llu stay", (unsigned long long)sums.stayed);
	return !r && sums.stayed ? -EBUSY : r;
}

/* -- pins -- */

static int list_one(void *arg, const char *key, bool folder)
{
	control_line(arg, "item", json_pack("{so sb}", "key", control_text(key), "folder", folder));
	return 0;
}

static int change_all(struct cache *cache, const char *const *keys, size_t count, struct control_stream *stream,
		      int (*change)(struct cache *cache, const char *key))
{
	int r = 0;

	for (size_t i = 0; i < count && !r; i++) {
		r = change(cache, keys[i]);
		if (r == -ENOENT)
			control_say(stream, "there is no such file");
		else if (r == -EMLINK)
			control_say(stream, "too much is pinned by name: pin the folder that it is in");
		else if (r == -ENODATA)
			control_say(stream, "it is not pinned itself");
	}
	return r;
}

int control_pin(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	size_t count;
	const char **keys;
	int r;

	if (control_switch(options, "list"))
		return pin_each(cache, list_one, stream);
	keys = control_keys(options, &count);
	if (!keys)
		return -ENOMEM;
	r = change_all(cache, keys, count, stream, pin_add);
	if (!r)
		r = warm(cache, keys, count, stream);
	free(keys);
	return r;
}

int control_unpin(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	size_t count;
	const char **keys = control_keys(options, &count);
	int r = keys ? change_all(cache, keys, count, stream, pin_remove) : -ENOMEM;

	free(keys);
	return r;
}
