/* A cache that nobody uses. To look only: check_open, which changes nothing. To mend: the cache is opened as a mount would do
 * it (and recovered), checked while its threads do not run yet, so that nothing moves; then they are started, and what
 * is to be sent is waited for. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/tree.h"
#include "fsck.h"

enum { SLICE_MS = 1100, STUCK_MS = 30 * 1000 };

static int status_of(struct fsck *f, int error, const char *words)
{
	progress_clear(&f->progress);
	if (report_cancelled(f)) {
		complain("interrupted; what was mended so far stays so");
		return FSCK_CANCELLED;
	}
	complain("%s", *words ? words : strerror(-error));
	return error == -EUCLEAN ? FSCK_LEFT : FSCK_ERROR;
}

/* What the bucket has and a mount would show belongs to the root's owner, where nothing else was said. */
static void choose_owner(struct fsck *f, struct cache *cache)
{
	struct stat root;

	if (tree_stat(cache, 1, &root))
		root.st_uid = geteuid(), root.st_gid = getegid();
	if (f->config.uid == UINT32_MAX)
		f->config.uid = root.st_uid;
	if (f->config.gid == UINT32_MAX)
		f->config.gid = root.st_gid;
}

static int run_check(struct fsck *f, struct cache *cache, struct check_sums *sums, struct buf *why)
{
	const struct check_options options = {
	    .repair = f->mode == FSCK_PREEN ? CHECK_PREEN
		      : f->mode == FSCK_YES || f->interactive ? CHECK_YES : CHECK_REPORT,
	    .deep = f->deep,
	    .headers = f->headers,
	    .cache_only = f->cache_only,
	    .upload_age_s = f->upload_age_s,
	};
	const struct check_visitor visitor = {
	    .finding = report_finding,
	    .progress = report_progress,
	    .ask = f->interactive ? report_ask : NULL,
	    .cancelled = report_cancelled,
	    .arg = f,
	};

	fsck_uses(f, cache);
	int r = check_run(cache, &options, &visitor, sums, why);
	progress_clear(&f->progress);
	return r;
}

static int look(struct fsck *f)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct check_sums sums;
	struct cache *cache;
	int status, r = check_open(&f->config, &cache, &why);

	if (r == -EBUSY)
		return -1;
	if (r)
		return status_of(f, r, buf_string(&why));
	r = run_check(f, cache, &sums, &why);
	status = r ? status_of(f, r, buf_string(&why)) : report_end(f, &sums);
	fsck_uses(f, NULL);
	check_close(&cache);
	return status;
}

/* -- with changes -- */

static void on_pending(void *arg, uint64_t left)
{
	AUTO_BUF struct buf text = BUF_EMPTY;
	struct fsck *f = arg;

	if (left > f->pending_most)
		f->pending_most = left;
	if (f->json)
		return;
	text_count(&text, left, "file", "files");
	buf_text(&text, " to be sent");
	progress_show(&f->progress, 1 - (double)left / (double)f->pending_most, buf_string(&text));
}

static uint64_t pending(struct cache *cache)
{
	uint64_t count = 0;
	int r = cache_pending(cache, &count);

	if (!r)
		return count;
	complain("what is still to be sent cannot be counted: %s", strerror(-r));
	return 1;
}

/* hopeless: so many cannot be sent. Where nothing gets on for long, the next mount goes on. */
void offline_drain(struct fsck *f, struct cache *cache, uint64_t hopeless)
{
	int64_t now_ms = clock_ms(), give_up_ms = now_ms + f->config.stop_timeout_ms, stuck_ms = now_ms + STUCK_MS;
	uint64_t left = pending(cache), least = left;

	while (left > hopeless && !report_cancelled(f) && now_ms < give_up_ms && now_ms < stuck_ms) {
		if (cache_drain(cache, now_ms + SLICE_MS, on_pending, f) == 0)
			left = 0;
		else
			left = pending(cache);
		now_ms = clock_ms();
		if (left < least)
			stuck_ms = now_ms + STUCK_MS;
		least = left < least ? left : least;
	}
	progress_clear(&f->progress);
	if (left && !report_cancelled(f))
		complain("%" PRIu64 " files are not in the bucket yet; they stay in the cache and go on at the next mount",
			 left);
}

int offline_open(struct fsck *f, struct cache **out)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	uint32_t uid = f->config.uid, gid = f->config.gid;

	if (f->config.uid == UINT32_MAX)
		f->config.uid = geteuid();
	if (f->config.gid == UINT32_MAX)
		f->config.gid = getegid();
	int r = cache_open(&f->config, out, &why);
	f->config.uid = uid;
	f->config.gid = gid;
	if (r == -EBUSY)
		return -1;
	if (r)
		return status_of(f, r, buf_string(&why));
	choose_owner(f, *out);
	return FSCK_CLEAN;
}

/* fsck -a before the first mount must not keep a computer from starting. */
static bool is_new(const struct fsck *f)
{
	char path[2][4200];

	snprintf(path[0], sizeof(path[0]), "%s/index.mdb", f->config.cache);
	snprintf(path[1], sizeof(path[1]), "%s/steady", f->config.cache);
	return access(path[0], F_OK) && access(path[1], F_OK);
}

static int mend(struct fsck *f)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct check_sums sums;
	struct cache *cache;
	int status;

	if (is_new(f)) {
		if (!f->json)
			printf("%s: there is no cache in %s yet, so there is nothing to check\n", f->spec, f->config.cache);
		return FSCK_CLEAN;
	}
	f->config.survey = false; /* what is not listed yet is the next mount's */
	status = offline_open(f, &cache);
	if (status)
		return status;
	int r = run_check(f, cache, &sums, &why);
	status = r ? status_of(f, r, buf_string(&why)) : FSCK_CLEAN;
	if (!report_cancelled(f) && cache_start(cache, NULL))
		status = status_of(f, -EIO, "the cache cannot be started, so nothing is sent");
	else if (!report_cancelled(f) && !f->cache_only)
		offline_drain(f, cache, r ? 0 : sums.found[CHECK_DIRTY_LOST]);
	if (!status)
		status = report_cancelled(f) ? FSCK_CANCELLED : report_end(f, &sums);
	fsck_uses(f, NULL);
	cache_interrupt(cache);
	cache_stop(cache);
	cache_close(&cache);
	return status;
}

int check_offline(struct fsck *f)
{
	return f->mode == FSCK_NO || (f->mode == FSCK_ASK && !f->interactive) ? look(f) : mend(f);
}
