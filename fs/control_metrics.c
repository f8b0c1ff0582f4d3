/* The counters as Prometheus reads them (text format 0.0.4). A metric is one call of a function below, so that none is
 * without its help and type; the names end in their unit, and in _total where they only grow. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/status.h"
#include "control_internal.h"
#include "dispatch.h"

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct buf *out, const char *name, const char *help, double value)
{
	head(out, name, "gauge", help);
	buf_printf(out, "%s %.17g\n", name, value);
}

static void counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
	head(out, name, "counter", help);
	buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* label: a pair such as operation="get", or "". */
static void histogram(struct buf *out, const char *name, const char *label, const struct histogram_sums *sums)
{
	const char *comma = *label ? "," : "", *open = *label ? "{" : "", *close = *label ? "}" : "";
	uint64_t sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		sum += sums->counts[i];
		buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, label, comma,
			   (double)histogram_bounds_us[i] / 1e6, sum);
	}
	buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label, comma, sums->count);
	buf_printf(out, "%s_sum%s%s%s %.6f\n", name, open, label, close, (double)sums->sum_us / 1e6);
	buf_printf(out, "%s_count%s%s%s %" PRIu64 "\n", name, open, label, close, sums->count);
}

static void label_value(struct buf *out, const char *text)
{
	json_t *valid = control_text(text);

	for (const char *c = valid ? json_string_value(valid) : ""; *c; c++) {
		if (*c == '\n')
			buf_text(out, "\\n");
		else
			buf_printf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	}
	json_decref(valid);
}

/* -- by parts -- */

static void put_process(const struct control_query *query, struct buf *out)
{
	double uptime_s = (double)(clock_ms() - query->started_ms) / 1e3;
	struct timespec cpu;

	head(out, "tootfs_info", "gauge", "What is mounted, by which version; always 1.");
	buf_text(out, "tootfs_info{version=\"" TOOTFS_VERSION "\",source=\"");
	label_value(out, query->config->spec);
	buf_text(out, "\",mountpoint=\"");
	label_value(out, query->config->mountpoint);
	buf_text(out, "\"} 1\n");
	gauge(out, "process_start_time_seconds", "When the daemon was started, in seconds since 1970.",
	      (double)clock_wall_ns() / 1e9 - uptime_s);
	gauge(out, "process_resident_memory_bytes", "Memory of the daemon.", (double)control_memory());
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	head(out, "process_cpu_seconds_total", "counter", "Processor time of the daemon.");
	buf_printf(out, "process_cpu_seconds_total %.3f\n", (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
}

static void put_calls(struct cache *cache, struct buf *out)
{
	static const char requests[] = "tootfs_bucket_request_duration_seconds";
	struct status_calls calls;
	char label[64];

	head(out, "tootfs_bucket_calls_total", "counter", "Calls to the bucket, each with all its attempts.");
	for (unsigned i = 0; status_calls_read(cache, i, &calls); i++)
		buf_printf(out, "tootfs_bucket_calls_total{operation=\"%s\"} %" PRIu64 "\n", calls.name, calls.calls);
	head(out, "tootfs_bucket_call_failures_total", "counter",
	     "Calls to the bucket that failed in the end; an object that does not exist is one of them.");
	for (unsigned i = 0; status_calls_read(cache, i, &calls); i++)
		buf_printf(out, "tootfs_bucket_call_failures_total{operation=\"%s\"} %" PRIu64 "\n", calls.name,
			   calls.failures);
	head(out, requests, "histogram", "Time of a request to the bucket, each attempt for itself, with its content.");
	for (unsigned i = 0; status_calls_read(cache, i, &calls); i++) {
		snprintf(label, sizeof(label), "operation=\"%s\"", calls.name);
		histogram(out, requests, label, &calls.requests);
	}
}

static void put_bucket(const struct cache_status *s, struct buf *out)
{
	gauge(out, "tootfs_bucket_reachable", "1: the bucket answers; 0: it does not, and is tried from time to time.",
	      s->bucket.reachable);
	gauge(out, "tootfs_bucket_sending", "1: uploads go on; 0: they stopped, since the bucket is away or refuses all.",
	      !s->bucket.sending_stopped);
	counter(out, "tootfs_bucket_retries_total", "Attempts after the first one.", s->bucket.retries);
	counter(out, "tootfs_bucket_received_bytes_total", "Bytes of objects that were downloaded.", s->bucket.bytes_in);
	counter(out, "tootfs_bucket_sent_bytes_total", "Bytes of objects that were uploaded.", s->bucket.bytes_out);
}

static void put_sent(const struct cache_status *s, const struct status_pending *p, struct buf *out)
{
	gauge(out, "tootfs_pending_files", "Files that the bucket is still to be told of.", (double)p->count);
	gauge(out, "tootfs_pending_counted_files", "Those of them that the next three metrics are about.",
	      (double)(p->puts + p->removes));
	gauge(out, "tootfs_pending_bytes", "What they have to upload.", (double)p->bytes);
	gauge(out, "tootfs_pending_refused_files", "Those that the bucket refused, each for itself; they are tried again.",
	      (double)p->failing);
	gauge(out, "tootfs_pending_oldest_seconds", "How long the oldest has been waiting.",
	      p->oldest_ns ? (double)(clock_wall_ns() - p->oldest_ns) / 1e9 : 0);
	gauge(out, "tootfs_uploads_in_flight", "Changes that are being sent.", s->sent.in_flight);
	counter(out, "tootfs_uploads_total", "Files that were uploaded.", s->sent.puts);
	counter(out, "tootfs_copies_total", "Objects that were copied within the bucket, after a rename.", s->sent.copies);
	counter(out, "tootfs_removals_total", "Objects that were removed.", s->sent.removes);
	counter(out, "tootfs_send_failures_total", "Refusals of single files.", s->sent.failures);
}

static void put_cache(const struct cache_status *s, struct buf *out)
{
	gauge(out, "tootfs_cache_used_bytes", "What the cached files take on the disk.", (double)s->cache.used);
	gauge(out, "tootfs_cache_limit_bytes", "What they may take.", (double)s->cache.limit);
	counter(out, "tootfs_cache_hits_total", "Reads that were answered from the cache.", s->cache.hits);
	counter(out, "tootfs_cache_misses_total", "Reads that waited for the bucket.", s->cache.misses);
	counter(out, "tootfs_cache_hit_bytes_total", "Bytes that were read from the cache.", s->cache.hit_bytes);
	counter(out, "tootfs_cache_miss_bytes_total", "Bytes that were read after waiting for the bucket.",
		s->cache.miss_bytes);
	counter(out, "tootfs_cache_evicted_files_total", "Files whose content was dropped to make room.",
		s->cache.evicted_blobs);
	counter(out, "tootfs_cache_evicted_bytes_total", "What that freed.", s->cache.evicted_bytes);
	head(out, "tootfs_checkpoint_duration_seconds", "histogram", "Time to make the cache safe against a power cut.");
	histogram(out, "tootfs_checkpoint_duration_seconds", "", &s->checkpoints.rounds);
	counter(out, "tootfs_checkpoint_failures_total", "Checkpoints that the disk failed.", s->checkpoints.failures);
	gauge(out, "tootfs_tree_files", "Files that are known.", (double)s->tree.files);
	gauge(out, "tootfs_tree_folders", "Folders that are known.", (double)s->tree.folders);
	gauge(out, "tootfs_tree_symlinks", "Symlinks that are known.", (double)s->tree.symlinks);
	gauge(out, "tootfs_tree_bytes", "The sum of their sizes.", (double)s->tree.bytes);
	gauge(out, "tootfs_survey_done", "1: every name in the bucket is known.", s->survey.done);
	gauge(out, "tootfs_survey_running", "1: the bucket is being listed.", s->survey.running);
	gauge(out, "tootfs_survey_keys", "Keys that were listed since the start.", (double)s->survey.keys);
}

static void put_requests(struct buf *out)
{
	static const char requests[] = "tootfs_fuse_request_duration_seconds";
	struct histogram_sums sums;
	const char *name;
	char label[64];
	uint64_t count;

	head(out, requests, "histogram", "Time from a request of the kernel to its answer.");
	for (unsigned i = 0; dispatch_operation(i, &name, &sums); i++) {
		snprintf(label, sizeof(label), "operation=\"%s\"", name);
		histogram(out, requests, label, &sums);
	}
	head(out, "tootfs_fuse_errors_total", "counter", "Requests of the kernel that failed for a reason of ours.");
	for (unsigned i = 0; dispatch_error(i, &name, &count); i++)
		buf_printf(out, "tootfs_fuse_errors_total{error=\"%s\"} %" PRIu64 "\n", name, count);
}

int control_metrics(const struct control_query *query, struct buf *out)
{
	struct cache *cache = query->config->cache;
	struct status_pending pending;
	struct cache_status status;
	int r = cache_status_read(cache, &status);

	if (!r)
		r = status_pending_read(cache, "", STATUS_LOOK_MS, &pending);
	if (r)
		return r;
	put_process(query, out);
	put_bucket(&status, out);
	put_calls(cache, out);
	put_sent(&status, &pending, out);
	put_cache(&status, out);
	put_requests(out);
	return 0;
}
