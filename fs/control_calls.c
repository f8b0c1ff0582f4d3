/* Short calls: a query in, a JSON object out. Each is a row of the table below. */
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/status.h"
#include "control_internal.h"

static unsigned no_memory(struct buf *out)
{
	buf_clear(out);
	buf_text(out, "out of memory");
	return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* object is taken over. */
static unsigned put_json(struct buf *out, json_t *object)
{
	AUTO_FREE char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;

	json_decref(object);
	if (!text)
		return no_memory(out);
	buf_text(out, text);
	buf_text(out, "\n");
	return MHD_HTTP_OK;
}

static unsigned failed(struct buf *out, int error)
{
	buf_clear(out);
	buf_printf(out, "the cache cannot say: %s", strerror(-error));
	return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

uint64_t control_memory(void)
{
	unsigned long long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &pages, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* -- the mount -- */

/* Seconds since a wall clock's time. */
static double ago_s(int64_t ns)
{
	int64_t since = clock_wall_ns() - ns;

	return since > 0 ? (double)since / 1e9 : 0;
}

static json_t *of_pending(const struct status_pending *p)
{
	return json_pack("{sI sI sI sI sI sf sb}", "count", (json_int_t)p->count, "uploads", (json_int_t)p->puts,
			 "removals", (json_int_t)p->removes, "bytes", (json_int_t)p->bytes, "refused",
			 (json_int_t)p->failing, "oldest_s", p->oldest_ns ? ago_s(p->oldest_ns) : 0.0, "complete",
			 p->complete);
}

static json_t *of_bucket(const struct cache_status *s)
{
	const char *state = !s->bucket.reachable ? "unreachable" : s->bucket.sending_stopped ? "refuses" : "answers";
	json_t *error = s->bucket.trouble_ns ? json_pack("{ss so sf}", "operation", s->bucket.trouble_op, "message",
							 control_text(s->bucket.trouble), "ago_s",
							 ago_s(s->bucket.trouble_ns))
					     : json_null();

	return json_pack("{ss so so sI sI sI sI sI sI sI}", "state", state, "why", control_text(s->bucket.why),
			 "last_error", error, "calls", (json_int_t)s->bucket.calls, "failures",
			 (json_int_t)s->bucket.failures, "retries", (json_int_t)s->bucket.retries, "bytes_in",
			 (json_int_t)s->bucket.bytes_in, "bytes_out", (json_int_t)s->bucket.bytes_out, "rate_in",
			 (json_int_t)s->bucket.rate_in, "rate_out", (json_int_t)s->bucket.rate_out);
}

static json_t *of_sent(const struct cache_status *s)
{
	return json_pack("{sI sI sI sI sI sI}", "uploads", (json_int_t)s->sent.puts, "copies",
			 (json_int_t)s->sent.copies, "removals", (json_int_t)s->sent.removes, "bytes",
			 (json_int_t)s->sent.bytes, "failures", (json_int_t)s->sent.failures, "in_flight",
			 (json_int_t)s->sent.in_flight);
}

static json_t *of_cache(const struct cache_status *s)
{
	return json_pack("{sI sI sI sI sI sI sI sI}", "used_bytes", (json_int_t)s->cache.used, "limit_bytes",
			 (json_int_t)s->cache.limit, "hits", (json_int_t)s->cache.hits, "misses",
			 (json_int_t)s->cache.misses, "hit_bytes", (json_int_t)s->cache.hit_bytes, "miss_bytes",
			 (json_int_t)s->cache.miss_bytes, "evicted_files", (json_int_t)s->cache.evicted_blobs,
			 "evicted_bytes", (json_int_t)s->cache.evicted_bytes);
}

static json_t *of_tree(const struct cache_status *s)
{
	return json_pack("{sI sI sI sI}", "files", (json_int_t)s->tree.files, "folders", (json_int_t)s->tree.folders,
			 "symlinks", (json_int_t)s->tree.symlinks, "bytes", (json_int_t)s->tree.bytes);
}

static json_t *of_checkpoints(const struct cache_status *s)
{
	const struct histogram_sums *rounds = &s->checkpoints.rounds;

	return json_pack("{sI sI sb sf}", "count", (json_int_t)rounds->count, "failures",
			 (json_int_t)s->checkpoints.failures, "failing", s->checkpoints.failing, "mean_s",
			 rounds->count ? (double)rounds->sum_us / 1e6 / (double)rounds->count : 0.0);
}

static json_t *of_survey(const struct cache_status *s)
{
	return json_pack("{sb sb sI sI sI}", "running", s->survey.running, "done", s->survey.done, "keys",
			 (json_int_t)s->survey.keys, "folders", (json_int_t)s->survey.folders, "skipped",
			 (json_int_t)s->survey.skipped);
}

static unsigned call_status(const struct control_query *query, struct buf *out)
{
	struct cache_status s;
	struct status_pending pending;
	int r = cache_status_read(query->config->cache, &s);

	if (!r)
		r = status_pending_read(query->config->cache, "", STATUS_LOOK_MS, &pending);
	if (r)
		return failed(out, r);
	return put_json(out, json_pack("{ss so so sI sf sI so so so so so so so}", "version", TOOTFS_VERSION,
				       "mountpoint", control_text(query->config->mountpoint), "source",
				       control_text(query->config->spec), "pid", (json_int_t)getpid(), "uptime_s",
				       (double)(clock_ms() - query->started_ms) / 1e3, "memory_bytes",
				       (json_int_t)control_memory(), "bucket", of_bucket(&s), "pending",
				       of_pending(&pending), "sent", of_sent(&s), "cache", of_cache(&s), "tree",
				       of_tree(&s), "checkpoints", of_checkpoints(&s), "survey", of_survey(&s)));
}

/* -- one file -- */

static json_t *of_folder(const struct control_query *query, const struct node_status *n)
{
	struct status_pending pending;

	if (status_pending_read(query->config->cache, n->key, STATUS_LOOK_MS, &pending))
		return NULL;
	pending.count = pending.puts + pending.removes;
	return json_pack("{so ss sI sb sb so}", "key", control_text(n->key), "kind", "folder", "ino", (json_int_t)n->ino,
			 "pinned", n->pinned, "listed", n->complete, "pending", of_pending(&pending));
}

static json_t *of_wish(const struct node_status *n)
{
	int64_t in_ns = n->retry_ns - clock_wall_ns();

	if (!n->pending)
		return json_null();
	return json_pack("{sf sI sf}", "since_s", ago_s(n->since_ns), "attempts", (json_int_t)n->attempts, "next_try_s",
			 in_ns > 0 ? (double)in_ns / 1e9 : 0.0);
}

static json_t *of_file(const struct node_status *n)
{
	json_t *error = n->failed_ns ? json_pack("{so sf}", "message", control_text(n->failed_why), "ago_s",
						 ago_s(n->failed_ns))
				     : json_null();

	return json_pack("{so ss sI sb ss sb sI sI so sI so so}", "key", control_text(n->key), "kind",
			 n->kind == STATUS_FILE ? "file" : "symlink", "ino", (json_int_t)n->ino, "pinned", n->pinned, "state",
			 status_state_name(n->state), "being_written", n->unpublished, "size", (json_int_t)n->size,
			 "cached_bytes", (json_int_t)n->cached_bytes, "etag", control_text(n->etag), "version",
			 (json_int_t)n->version, "pending", of_wish(n), "last_error", error);
}

static unsigned call_file(const struct control_query *query, struct buf *out)
{
	struct node_status n;
	uint64_t ino;
	int r;

	if (!query->key) {
		buf_text(out, "a key is needed: /file?key=KEY");
		return MHD_HTTP_BAD_REQUEST;
	}
	r = status_find(query->config->cache, query->key, &ino);
	if (!r)
		r = node_status_read(query->config->cache, ino, &n);
	if (r == -ENOENT || r == -ENOTDIR || r == -EAGAIN) {
		buf_printf(out, "there is no %s%s", query->key,
			   r == -EAGAIN ? " that is known: its folder was not listed yet" : "");
		return MHD_HTTP_NOT_FOUND;
	}
	if (r)
		return failed(out, r);
	return put_json(out, n.kind == STATUS_FOLDER ? of_folder(query, &n) : of_file(&n));
}

/* -- the log -- */

static unsigned call_log_level(const struct control_query *query, struct buf *out)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	json_t *body = json_loadb(query->body, query->body_bytes, JSON_REJECT_DUPLICATES, NULL);
	const char *wanted = json_string_value(json_object_get(body, "level"));
	int level = -1;

	for (int i = 0; wanted && i <= LOG_LEVEL_DEBUG; i++)
		if (strcmp(names[i], wanted) == 0)
			level = i;
	json_decref(body);
	if (level < 0) {
		buf_text(out, "the level must be error, warn, info or debug");
		return MHD_HTTP_BAD_REQUEST;
	}
	log_set_level((enum log_level)level);
	log_write((enum log_level)level, "control: from now on log_level=%s", names[level]);
	return put_json(out, json_pack("{ss}", "level", names[level]));
}

static unsigned call_metrics(const struct control_query *query, struct buf *out)
{
	int r = control_metrics(query, out);

	return r ? failed(out, r) : MHD_HTTP_OK;
}

const struct control_call_row control_calls[] = {
    {"GET", "/status", "application/json", call_status},
    {"GET", "/file", "application/json", call_file},
    {"GET", "/metrics", CONTROL_METRICS_TYPE, call_metrics},
    {"PUT", "/log-level", "application/json", call_log_level},
    {NULL, NULL, NULL, NULL},
};
