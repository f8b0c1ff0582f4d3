/* The run: the merge, with blobs looked at on the way; then what is not a file. Findings are counted, mended and told here. */
#include "check.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "check_internal.h"

enum { TELL_MS = 1000 };

bool check_cancelled(struct check *c)
{
	return c->visitor->cancelled && c->visitor->cancelled(c->visitor->arg);
}

void check_progress(struct check *c)
{
	if (!c->visitor->progress || (c->names & 63) != 0)
		return;
	int64_t now_ms = clock_ms();
	if (now_ms - c->told_ms < TELL_MS)
		return;
	c->told_ms = now_ms;
	const struct check_progress p = { .keys = c->sums->objects > c->sums->files ? c->sums->objects : c->sums->files,
					  .total = c->total,
					  .what = c->what };
	c->visitor->progress(c->visitor->arg, &p);
}

/* -- findings -- */

static bool is_allowed(struct check *c, const struct check_finding *finding)
{
	const struct check_rule *rule = check_rule(finding->code);

	if (!rule->mend || c->options->repair == CHECK_REPORT)
		return false;
	if (c->options->repair == CHECK_PREEN)
		return rule->preen;
	return !c->visitor->ask || c->visitor->ask(c->visitor->arg, finding);
}

int check_found(struct check *c, const struct check_case *k)
{
	const struct check_rule *rule = check_rule(k->code);
	struct check_finding finding = { .code = k->code,
					 .key = k->key,
					 .blob = k->blob,
					 .size = k->size,
					 .detail = k->detail,
					 .outcome = CHECK_LEFT };

	assert(k->code != CHECK_NONE);
	if (check_cancelled(c))
		return -ECANCELED;
	if (is_allowed(c, &finding)) {
		int r = check_mend(c, k);
		if (r == -EAGAIN) {
			c->sums->changed++;
			return 0;
		}
		finding.outcome = r ? CHECK_FAILED : CHECK_MENDED;
		finding.error = r;
	}
	c->sums->found[k->code]++;
	c->sums->mended += finding.outcome == CHECK_MENDED;
	if (rule->note) {
		c->sums->notes++;
	} else {
		c->sums->damage++;
		c->sums->left += finding.outcome != CHECK_MENDED;
	}
	c->visitor->finding(c->visitor->arg, &finding);
	return 0;
}

/* -- the steps -- */

static int merge(struct check *c)
{
	struct check_lister *lister;

	c->what = c->options->cache_only ? "cached files" : "keys";
	if (c->options->cache_only)
		return check_merge(c, NULL, NULL);
	int r = check_lister_open(c->cache->flow.bucket, &lister);
	if (r)
		return r;
	r = check_merge(c, check_lister_next, lister);
	check_lister_close(&lister);
	return r;
}

static int expect(struct check *c)
{
	struct index_totals totals;
	struct txn *txn = NULL;
	int r = txn_begin_read(c->cache->flow.index, &txn);

	if (!r)
		r = index_totals(txn, &totals);
	txn_abort(&txn);
	if (!r)
		c->total = totals.files + totals.symlinks;
	return r;
}

static int run(struct check *c)
{
	int r = expect(c);

	if (!r && c->options->headers && !c->options->cache_only)
		r = check_headers_open(c->cache->flow.bucket, &c->headers);
	if (!r)
		r = merge(c);
	check_headers_close(&c->headers);
	if (!r)
		r = check_totals(c);
	c->what = "cache";
	if (!r)
		r = check_ages(c);
	if (!r)
		r = check_orphan_blobs(c);
	if (c->options->cache_only)
		return r;
	c->what = "what is to be sent";
	if (!r)
		r = check_wishes(c);
	c->what = "uploads";
	return r ? r : check_uploads(c);
}

int check_run(struct cache *cache, const struct check_options *options, const struct check_visitor *visitor,
	      struct check_sums *sums, struct buf *why)
{
	struct check *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct check){ .cache = cache,
			     .options = options,
			     .visitor = visitor,
			     .sums = sums,
			     .why = why,
			     .told_ms = clock_ms(),
			     .what = "keys" };
	memset(sums, 0, sizeof(*sums));
	int r = run(c);
	if (!r && c->visitor->cancelled && check_cancelled(c))
		r = -ECANCELED;
	if (r && !why->length)
		buf_text(why, strerror(-r));
	numbers_destroy(&c->named);
	free(c);
	return r;
}
