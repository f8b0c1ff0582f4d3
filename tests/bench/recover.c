/* How long a cache takes to open after kill -9 and after a power cut, by the number of files in its index:
 *
 *     bench_recover FOLDER FILES BLOBS UNSENT RUNS [cold]
 *
 * A child makes a cache over a bucket in a folder: FILES nodes (a third of them under folders of their own, as Mastodon
 * has it), BLOBS of them with a cached file, UNSENT with one that is not uploaded; then it kills itself. Each run opens and
 * starts the cache in a child that kills itself too, RUNS times as it is and RUNS times with another boot id in `steady`.
 * Lines: FILES WHAT MEDIAN MIN MAX, in ms; "ready" is until the mount could answer, "swept" until the background work of
 * the sweep is over, too. cold: the kernel's caches are dropped before. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/index/ages.h"
#include "cache/index/internal.h"
#include "cache/index/names.h"
#include "cache/internal.h"
#include "cache/sweep_internal.h"

enum { RUNS_MAX = 100, BATCH = 20000, FOLDER_EVERY = 3 };

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

struct bench {
	const char *folder;
	uint64_t files, blobs, unsent;
	char cache[512];
	struct cache_config config;
};

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void configure(struct bench *b)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	char spec[512];
	snprintf(spec, sizeof(spec), "file://%s/bucket", b->folder);
	snprintf(b->cache, sizeof(b->cache), "%s/cache", b->folder);
	MUST(mkdir(b->folder, 0700) == 0 || errno == EEXIST);
	MUST(mkdir(spec + 7, 0700) == 0 || errno == EEXIST);
	config_init(&b->config);
	MUST(config_spec(&b->config, spec) == 0);
	MUST(config_set(&b->config, "cache", b->cache, &why) == 0);
	MUST(config_set(&b->config, "cache_size", "100G", &why) == 0);
	MUST(config_set(&b->config, "survey", "off", &why) == 0);
	MUST(config_finish(&b->config, &why) == 0);
}

/* -- making -- */

static void make_blob(struct cache *cache, struct txn *txn, struct node_record *r, bool unsent)
{
	int fd;
	r->blob = txn_new_blob(txn);
	r->content = unsent ? CONTENT_DIRTY : CONTENT_CLEAN;
	MUST(blob_create(cache->flow.blobs, r->blob, &fd) == 0);
	MUST(blob_write(fd, 0, r->name, r->size) == 0);
	close(fd);
	MUST(ages_touch(txn, r->ino, r->blob, 4096) == 0);
}

static void make_wish(struct txn *txn, const struct node_record *r)
{
	struct pending_record wish = {.want = PENDING_PUT, .ino = r->ino, .version = r->version,
				      .since_ns = clock_wall_ns()};
	MUST(nodes_key(txn, r->ino, wish.key) == 0);
	wish.retry_ns = INT64_MAX; /* never sent: what is measured stays the same */
	MUST(pending_put(txn, &wish) == 0);
}

static void make_one(struct bench *b, struct cache *cache, struct txn *txn, uint64_t i, uint64_t *parent)
{
	struct node_record r = {.ino = txn_new_ino(txn), .parent = INO_ROOT, .mode = S_IFDIR | 0755, .nlink = 2,
				.flags = NODE_COMPLETE};
	if (i % FOLDER_EVERY == 0) {
		snprintf(r.name, sizeof(r.name), "%09llu", (unsigned long long)i);
		MUST(nodes_put(txn, &r) == 0);
		MUST(names_put(txn, INO_ROOT, r.name, true, r.ino, 0) == 0);
		*parent = r.ino;
		r.ino = txn_new_ino(txn);
	}
	r = (struct node_record){.ino = r.ino, .parent = *parent, .mode = S_IFREG | 0644, .nlink = 1, .size = 16,
				 .version = 1, .mtime_ns = clock_wall_ns()};
	snprintf(r.name, sizeof(r.name), "%016llx.png", (unsigned long long)(i * 0x9e3779b97f4a7c15u));
	snprintf(r.etag, sizeof(r.etag), "%032llx", (unsigned long long)i);
	bool unsent = i < b->unsent;
	if (i < b->blobs + b->unsent)
		make_blob(cache, txn, &r, unsent);
	MUST(nodes_put(txn, &r) == 0);
	MUST(names_put(txn, *parent, r.name, false, r.ino, 0) == 0);
	if (unsent)
		make_wish(txn, &r);
}

static struct cache *open_cache(struct bench *b)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	struct cache *cache;
	if (cache_open(&b->config, &cache, &why) != 0) {
		fprintf(stderr, "%s\n", buf_string(&why));
		_exit(1);
	}
	return cache;
}

static void checkpoint(struct cache *cache)
{
	struct index_checkpoint *c;
	MUST(index_checkpoint_begin(cache->flow.index, &c) == 0);
	MUST(index_checkpoint_commit(&c) == 0);
}

_Noreturn static void make(struct bench *b)
{
	struct cache *cache = open_cache(b);
	uint64_t parent = INO_ROOT;
	for (uint64_t i = 0; i < b->files;) {
		struct txn *txn;
		MUST(txn_begin_write(cache->flow.index, &txn) == 0);
		for (uint64_t end = i + BATCH; i < b->files && i < end; i++)
			make_one(b, cache, txn, i, &parent);
		MUST(txn_commit(&txn) == 0);
		checkpoint(cache);
	}
	MUST(blobs_sync_all(cache->flow.blobs) == 0);
	checkpoint(cache);
	kill(getpid(), SIGKILL);
	abort();
}

/* -- opening -- */

struct times {
	double ready, swept;
};

_Noreturn static void measure(struct bench *b, int out)
{
	double start = now_ms();
	struct cache *cache = open_cache(b);
	MUST(cache_start(cache, NULL) == 0);
	struct times t = {.ready = now_ms() - start};
	if (cache->sweep)
		pthread_join(cache->sweep->thread, NULL);
	t.swept = now_ms() - start;
	MUST(write(out, &t, sizeof(t)) == sizeof(t));
	kill(getpid(), SIGKILL);
	abort();
}

static void reboot(struct bench *b)
{
	struct steady s;
	bool unsure;
	int folder = open(b->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(folder >= 0 && steady_read(folder, "steady", &s) == 0);
	snprintf(s.boot_id, sizeof(s.boot_id), "another");
	MUST(steady_write(folder, &s, &unsure) == 0);
	close(folder);
}

static void drop_caches(void)
{
	sync();
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	MUST(fd >= 0 && write(fd, "3\n", 2) == 2);
	close(fd);
}

static void run_child(struct bench *b, struct times *out)
{
	int fds[2], status;
	MUST(pipe(fds) == 0);
	pid_t pid = fork();
	MUST(pid >= 0);
	if (pid == 0 && out)
		measure(b, fds[1]);
	if (pid == 0)
		make(b);
	close(fds[1]);
	MUST(!out || read(fds[0], out, sizeof(*out)) == sizeof(*out));
	close(fds[0]);
	MUST(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print(const struct bench *b, const char *what, const char *when, double *ms, int runs)
{
	qsort(ms, (size_t)runs, sizeof(*ms), compare);
	printf("%9llu files  %-24s %-6s %8.1f ms  (%.1f … %.1f, %d runs)\n", (unsigned long long)b->files, what,
	       when, ms[runs / 2], ms[0], ms[runs - 1], runs);
}

static void rows(struct bench *b, const char *what, bool power_cut, bool cold, int runs)
{
	double ready[RUNS_MAX], swept[RUNS_MAX];
	char text[64];
	for (int i = 0; i < runs; i++) {
		struct times t;
		if (power_cut)
			reboot(b);
		if (cold)
			drop_caches();
		run_child(b, &t);
		ready[i] = t.ready;
		swept[i] = t.swept;
	}
	snprintf(text, sizeof(text), "%s%s", what, cold ? ", cold" : "");
	print(b, text, "ready", ready, runs);
	print(b, text, "swept", swept, runs);
}

int main(int argc, char **argv)
{
	const struct log_config log = {.level = LOG_LEVEL_ERROR};
	if (argc < 6)
		return fprintf(stderr, "usage: bench_recover FOLDER FILES BLOBS UNSENT RUNS [cold]\n"), 2;
	struct bench b = {.folder = argv[1], .files = strtoull(argv[2], NULL, 10),
			  .blobs = strtoull(argv[3], NULL, 10), .unsent = strtoull(argv[4], NULL, 10)};
	int runs = atoi(argv[5]);
	MUST(runs > 0 && runs <= RUNS_MAX);
	log_setup(&log);
	configure(&b);
	run_child(&b, NULL);
	rows(&b, "kill -9", false, false, runs);
	rows(&b, "power cut", true, false, runs);
	if (argc > 6) {
		rows(&b, "kill -9", false, true, runs);
		rows(&b, "power cut", true, true, runs);
	}
	config_destroy(&b.config);
	return 0;
}
