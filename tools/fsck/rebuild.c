/* --rebuild: the index is put aside, and a new one is made from the bucket; what was not uploaded comes back from lost+found. */
#include <inttypes.h>
#include <errno.h>
#include <string.h>
#include "fsck.h"

static int end(struct fsck *f, int error, const struct check_rebuilt *rebuilt)
{
	progress_clear(&f->progress);
	if (report_cancelled(f))
		return FSCK_CANCELLED;
	if (error) {
		complain("the bucket could not be listed to its end: %s; the next mount goes on with it", strerror(-error));
		return FSCK_ERROR;
	}
	if (f->json)
		report_json(json_pack("{s:{sI sI sI}}", "end", "keys", (json_int_t)rebuilt->keys, "back",
				      (json_int_t)rebuilt->back, "left", (json_int_t)rebuilt->left));
	else
		printf("%s: a new index: %" PRIu64 " objects; %" PRIu64 " files that were not uploaded are back, %" PRIu64
		       " stay in %s/lost+found/files\n",
		       f->spec, rebuilt->keys, rebuilt->back, rebuilt->left, f->config.cache);
	return rebuilt->left ? FSCK_LEFT : FSCK_CORRECTED;
}

int rebuild(struct fsck *f)
{
	const struct check_visitor visitor = {.progress = report_progress, .cancelled = report_cancelled, .arg = f};
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct check_rebuilt rebuilt = {.keys = 0};
	struct cache *cache;
	int status, r = check_condemn_index(&f->config, &why);

	if (r) {
		complain("%s", buf_string(&why));
		return FSCK_ERROR;
	}
	f->config.survey = true;
	status = offline_open(f, &cache);
	if (status) {
		if (status < 0)
			complain("the cache folder %s is in use; unmount it first", f->config.cache);
		return status < 0 ? FSCK_ERROR : status;
	}
	fsck_uses(f, cache);
	r = cache_start(cache, NULL);
	if (!r)
		r = check_rebuild(cache, &visitor, &rebuilt);
	if (!r)
		offline_drain(f, cache, 0); /* what does not come to the bucket was said, and stays */
	status = end(f, r, &rebuilt);
	fsck_uses(f, NULL);
	cache_interrupt(cache);
	cache_stop(cache);
	cache_close(&cache);
	return status;
}
