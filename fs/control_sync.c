/* POST /sync {"keys":[KEY], "timeout_s":N}: waits until the bucket has everything at and below the key. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/status.h"
#include "control_verbs.h"

enum { PAUSE_MS = 200 };

int control_sync(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000 * 1000};
	int64_t timeout_s = control_number(options, "timeout_s", 0), began_ms = clock_ms(), told_ms = 0;

	while (!control_cancelled(stream)) {
		uint64_t left = cache_pending(cache);

		if (clock_ms() - told_ms >= 1000 || !left) {
			told_ms = clock_ms();
			control_line(stream, "progress", json_pack("{sI}", "files_left", (json_int_t)left));
		}
		if (!left)
			return 0;
		if (timeout_s > 0 && clock_ms() - began_ms >= timeout_s * 1000) {
			control_say(stream, "%llu files are not in the bucket yet", (unsigned long long)left);
			return -ETIMEDOUT;
		}
		nanosleep(&pause, NULL);
	}
	return -ECANCELED;
}
