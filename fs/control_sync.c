/* POST /sync {"keys":[KEY…], "timeout_s":N}: waits until the bucket has everything at and below the keys; without keys,
 * everything. Without a timeout it waits as long as the bucket is away, and says so every second. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/status.h"
#include "cache/sync.h"
#include "control_verbs.h"

enum { LOOK_MS = 100, PAUSE_MS = 150, TELL_MS = 1000, TOLD_MAX = 100 };

static void tell(struct control_stream *stream, struct cache *cache, const struct sync_left *left)
{
	struct cache_status status;
	uint64_t rate = cache_status_read(cache, &status) ? 0 : status.bucket.rate_out;

	control_line(stream, "progress",
		     json_pack("{sI sI sI sb sI so}", "files_left", (json_int_t)left->files, "bytes_left",
			       (json_int_t)left->bytes, "refused", (json_int_t)left->refused, "exact", left->exact,
			       "rate", (json_int_t)rate, "waits_for", control_text(left->why)));
}

static void tell_file(void *arg, const char *key, const char *why)
{
	control_line(arg, "item", json_pack("{so so}", "key", control_text(key), "message", control_text(why)));
}

/* Not all is there. */
static int give_up(struct sync *sync, const struct sync_left *left, struct control_stream *stream)
{
	int r = sync_tell(sync, TOLD_MAX, tell_file, stream);

	control_total(stream, "files_left", json_integer((json_int_t)left->files));
	control_total(stream, "bytes_left", json_integer((json_int_t)left->bytes));
	control_say(stream, "%s%llu %s not in the bucket%s%s%s", left->exact ? "" : "at least ",
		    (unsigned long long)left->files, left->files == 1 ? "file is" : "files are",
		    left->refused_for_good ? "" : " yet", left->why[0] ? ": " : "", left->why);
	return r ? r : left->refused_for_good ? -EIO : -ETIMEDOUT;
}

static int wait(struct cache *cache, struct sync *sync, int64_t deadline_ms, struct control_stream *stream)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000 * 1000};
	int64_t told_ms = clock_ms() - TELL_MS;
	struct sync_left left;

	while (!control_cancelled(stream)) {
		int r = sync_look(sync, LOOK_MS, &left);

		if (r)
			return r;
		if (left.done || clock_ms() - told_ms >= TELL_MS) {
			told_ms = clock_ms();
			tell(stream, cache, &left);
		}
		if (left.done)
			return 0;
		if (left.refused_for_good || clock_ms() >= deadline_ms)
			return give_up(sync, &left, stream);
		nanosleep(&pause, NULL);
	}
	return -ECANCELED;
}

/* The first key that nothing has, and nothing is wished for: mistyped, or removed long ago. NULL = there is none. */
static const char *nothing_at(struct cache *cache, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct status_pending pending;
		uint64_t ino;
		int r = status_find(cache, keys[i], &ino);

		if ((r == -ENOENT || r == -ENOTDIR) && !status_pending_read(cache, keys[i], LOOK_MS, &pending) &&
		    pending.complete && !(pending.puts + pending.removes))
			return keys[i];
	}
	return NULL;
}

int control_sync(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	int64_t timeout_s = control_number(options, "timeout_s", 0);
	int64_t deadline_ms = timeout_s > 0 && timeout_s < INT32_MAX ? clock_ms() + timeout_s * 1000 : INT64_MAX;
	const json_t *wanted = json_object_get(options, "keys");
	size_t count = json_array_size(wanted) ? json_array_size(wanted) : 1;
	const char **keys = calloc(count, sizeof(*keys));
	const char *nothing;
	struct sync *sync;
	int r;

	if (!keys)
		return -ENOMEM;
	keys[0] = "";
	for (size_t i = 0; i < json_array_size(wanted); i++)
		keys[i] = json_string_value(json_array_get(wanted, i));
	nothing = nothing_at(cache, keys, count);
	r = sync_begin(cache, keys, count, &sync);
	if (!r) {
		r = wait(cache, sync, deadline_ms, stream);
		sync_end(&sync);
	}
	if (!r && nothing)
		control_say(stream, "there is no %s, and no removal of it to wait for", nothing);
	free(keys);
	return r;
}
