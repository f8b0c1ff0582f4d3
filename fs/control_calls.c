/* Short calls: a query in, a JSON object out. Each is a row of the table below. */
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
	buf_printf(out, "the cache cannot say: %s", strerror(-error));
	return MHD_HTTP_INTERNAL_SERVER_ERROR;
}

/* Of this process, in bytes; 0 = not known. */
static uint64_t resident_bytes(void)
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

static json_t *of_pending(const struct status_pending *p)
{
	return json_pack("{sI sI sI sI sI sf sb}", "count", (json_int_t)p->count, "uploads", (json_int_t)p->puts,
			 "removals", (json_int_t)p->removes, "bytes", (json_int_t)p->bytes, "refused",
			 (json_int_t)p->failing, "oldest_s",
			 p->oldest_ns ? (double)(clock_wall_ns() - p->oldest_ns) / 1e9 : 0.0, "complete",
			 p->complete);
}

static json_t *of_bucket(const struct cache_status *s)
{
	return json_pack("{sb sb so sI sI sI sI sI}", "reachable", s->reachable, "sending", !s->sending_stopped, "error",
			 control_text(s->why), "calls", (json_int_t)s->calls, "failures", (json_int_t)s->failures,
			 "retries", (json_int_t)s->retries, "bytes_in", (json_int_t)s->bytes_in, "bytes_out",
			 (json_int_t)s->bytes_out);
}

static json_t *of_cache(const struct cache_status *s)
{
	return json_pack("{sI sI sI sI}", "used_bytes", (json_int_t)s->cache_used, "limit_bytes",
			 (json_int_t)s->cache_limit, "evicted_files", (json_int_t)s->evicted_blobs, "evicted_bytes",
			 (json_int_t)s->evicted_bytes);
}

static unsigned call_status(const struct control_query *query, struct buf *out)
{
	struct cache_status s;
	int r = cache_status_read(query->config->cache, &s);

	if (r)
		return failed(out, r);
	return put_json(
	    out, json_pack("{ss so so sI sf sI so so so s{sI sI sI sI} s{sb sb sI sI sI} s{sI sI sI sI sI}}", "version",
			   TOOTFS_VERSION, "mountpoint", control_text(query->config->mountpoint), "bucket_spec",
			   control_text(query->config->spec), "pid", (json_int_t)getpid(), "uptime_s",
			   (double)(clock_ms() - query->started_ms) / 1e3, "memory_bytes", (json_int_t)resident_bytes(),
			   "bucket", of_bucket(&s), "pending", of_pending(&s.pending), "cache", of_cache(&s), "tree",
			   "files", (json_int_t)s.files, "folders", (json_int_t)s.folders, "symlinks",
			   (json_int_t)s.symlinks, "bytes", (json_int_t)s.bytes, "survey", "running", s.survey_running,
			   "done", s.survey_done, "keys", (json_int_t)s.survey_keys, "folders",
			   (json_int_t)s.survey_folders, "skipped", (json_int_t)s.survey_skipped, "sent", "uploads",
			   (json_int_t)s.puts, "copies", (json_int_t)s.copies, "removals", (json_int_t)s.removes, "bytes",
			   (json_int_t)s.put_bytes, "failures", (json_int_t)s.put_failures));
}

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

const struct control_call_row control_calls[] = {
    {"GET", "/status", "application/json", call_status},
    {"PUT", "/log-level", "application/json", call_log_level},
    {NULL, NULL, NULL, NULL},
};
